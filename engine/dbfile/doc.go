// Package dbfile is a bbolt database in one file, for state that survives restarts: of
// the ledger, and of actions.
//
// It stands beneath the path. bbolt maps its file into memory. A damaged file makes it
// panic, or read beyond the mapping, which ends the process, or hides a part of the contents.
//
// Invariant: a damaged file is an error, also one that is empty or short. The caller may move it
// aside and begin a new one. Changed bytes within a value are found by the caller alone.
package dbfile
