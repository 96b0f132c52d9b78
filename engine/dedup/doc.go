// Package dedup remembers the last values of something by key.
//
// It stands beside the path: a source that receives two reports of one attempt
// keeps the first report here until it receives the second one, and a rule keeps the
// subjects that it has alerted about.
//
// Invariant: a cache never holds more than twice its [Half] values, whatever keys an
// attacker makes up.
package dedup
