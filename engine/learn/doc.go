// Package learn finds in recordings of normal days which addresses an operator may want
// to trust, which genuine addresses the rules would have caught, and how far
// the rules' thresholds are from genuine behaviour.
//
// It stands beside the path: [Recorder.Record] sees each event that the rules see,
// [Recorder.Decided] what they decided, and [Recorder.Conclude] returns the findings.
// It bans and trusts nothing; a person reads the findings first.
//
// Invariant: what any stranger can do makes no proposal certain. Failures, challenges,
// calls without a password and lines in a log are no proof, in any number. An accepted
// password is proof, and so is a gateway of the switch. Memory
// is bounded for any recording: 300 MB in the worst case, in which callers fill all
// records of 200,000 addresses; and for the windows what package rule documents.
package learn
