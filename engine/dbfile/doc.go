// Package dbfile is a bbolt database in one file, for state that survives restarts: of
// the ledger, and of actions.
//
// It stands beneath the path. bbolt maps its file into memory. A damaged file makes it
// panic, or read beyond the mapping, which ends the process.
//
// Invariant: a damaged file is an error. The caller may move it aside and begin a new one.
package dbfile
