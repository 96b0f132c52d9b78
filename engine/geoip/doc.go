// Package geoip says in which country an address is, and to which network it belongs.
//
// It stands beside the path: the configuration sets the fields of an event from it where a rule reads them, and
// the ledger those of its changes. The databases are files in MaxMind's format, from MaxMind, DB-IP or
// IPinfo. A file is read as a whole, checked by its end, and replaced while others look it up; so a file
// that is truncated or overwritten in place harms nothing, and no look-up waits for the disk.
//
// Invariant: a look-up of an address in a network that was looked up before does not allocate. What cannot be
// looked up is "".
package geoip
