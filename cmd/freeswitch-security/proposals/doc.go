// Package proposals writes what engine/learn found as HCL to paste into the rules, with the reasons as comments.
//
// It is the output of the verb learn. Invariant: text that callers wrote stands in comments only,
// and cannot end them.
package proposals
