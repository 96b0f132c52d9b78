// Package wording gives the diagnostics of HCL the words of an operator who has never seen HCL.
//
// It stands between HCL and the printer: after the parser, and before what is said of a block is
// reported.
//
// Invariant: a file with an error before has one after. No diagnostic quotes more of a file than the
// words at which it points.
package wording
