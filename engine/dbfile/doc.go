// Package dbfile is a bbolt database in one file, for whoever keeps something
// across restarts: the ledger, and actions.
//
// It stands beneath the path. bbolt maps its file into memory, and what it finds in
// a damaged one makes it panic, or read beyond the mapping, which ends the process.
//
// The invariant: a damaged file is an error. Whoever meets it may move the file
// aside and begin a new one.
package dbfile
