// Package record reads the form of FreeSWITCH's log: lines, headers, stamps, and
// where a record begins.
//
// It stands in front of the patterns. It knows how FreeSWITCH, syslog and the
// journal write a line, and nothing of what a message means.
//
// Invariant: a header is accepted only at the first byte of a line, and by itself.
// Text behind it never changes the result, so a line that is still being written
// is judged as it will be once it is complete.
package record
