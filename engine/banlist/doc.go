// Package banlist reads lists of addresses to ban: plain text, CSV and JSON.
//
// Feeds and the verb import read their lists with it. It stands before the ledger:
// an [Entry] says which target a list names, for how long and why, or why the entry
// cannot be used. What to do about such entries is the caller's decision.
//
// Invariant: an entry is read completely or has an error; no entry is dropped
// silently. A list that cannot be read to its end is an error, and the entries
// handed out before it must not be used.
package banlist
