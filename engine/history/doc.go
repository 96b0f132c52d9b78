// Package history counts what happened, by minute for a day and by hour for up to 400 days, and keeps what
// each attacker did.
//
// It stands beside the path: the core passes it each event, the saver each change, and the daemon what the
// kernel drops. It decides nothing. A replay fills one in memory, so that a report of recordings and one of a
// running guard are the same.
//
// Invariant: whatever attackers send, a history needs at most 5 MB of memory and 20 MB of a file: names,
// counters, names of the largest and attackers are bounded, and what is beyond counts as "other". It is
// written once a minute: a crash loses no more.
//
// Where numbers are masked, no dialled number and no account is kept or shown in full.
package history
