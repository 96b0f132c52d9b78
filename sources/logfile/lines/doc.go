// Package lines divides the bytes of a log into lines.
//
// It stands where bytes are read, in a replay and in the follower alike. It knows how
// lines end and how long they may be, and does not read their content.
//
// Invariant: a line that is longer than allowed takes no more memory than an allowed
// one.
package lines
