// Package admin is the HTTP API of the engine: it shows what the engine does, bans and
// unbans, trusts for a while, and reloads the rules.
//
// It stands beside the path. Its orders go to the ledger like those of a rule. What it
// shows comes from snapshots, which requests share, so that no number of requests
// delays the goroutine that counts.
//
// Invariant: every change comes from an authorized caller. A listener that other hosts
// can reach has a token or client certificates, or it is not opened. A web page in the
// operator's browser is refused. Every change is logged with its author and reason.
//
// openapi.yaml is the contract. The tests check every answer against it.
package admin
