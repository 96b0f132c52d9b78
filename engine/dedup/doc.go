// Package dedup remembers the last values of something by key.
//
// It stands beside the path: a source that receives two reports of one attempt
// keeps the first report here until it receives the second one.
//
// Invariant: a cache never holds more than [Max] values, whatever keys an attacker
// makes up.
package dedup
