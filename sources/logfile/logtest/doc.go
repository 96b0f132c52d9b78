// Package logtest writes logs as FreeSWITCH does, for the tests of the packages that follow them. It stands beside the path.
//
// Invariant: each line is written by one call.
package logtest
