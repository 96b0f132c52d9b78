// Package client is the client of the admin API, over a unix socket or over HTTP.
//
// It stands between the verbs of the command line and the admin listener of a running
// daemon. engine/admin/openapi.yaml is the contract.
//
// Invariant: every answer is bounded in size and time, whichever program sends it. An error
// says what an operator can do about it. The token goes only to the address that was
// given.
package client
