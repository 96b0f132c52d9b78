// Package admin is the HTTP listener: it lets people and programs see what the
// engine does, ban and unban by hand, and trust for a while.
//
// It stands beside the path, not on it. What it changes goes to the ledger by way
// of the [Guard], like any other order; what it shows comes from snapshots, so that
// no number of requests can hold up the goroutine that counts.
//
// The invariant: nobody changes anything who is not known to be allowed to. A
// listener that others than this host reach has a token or client certificates,
// or it is not opened; a web page in the operator's browser is never let through;
// and every change is written to the log with who asked for it and why.
//
// openapi.yaml is the contract, and the tests hold every answer against it.
package admin
