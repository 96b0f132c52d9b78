// Package recent remembers the last values of something by key, such as the report
// of an attempt until the second report of the same one comes.
//
// It stands beside the path: the sources, which each see one attempt reported in two
// ways, pair the reports with it.
//
// The invariant: it never remembers more than [Max] values, whatever keys a caller
// makes up.
package recent
