// Package client asks a running daemon, over its unix socket or over HTTP, and
// tells it what to do.
//
// It stands outside of the daemon, between the verbs of the command line and the
// admin listener; engine/admin/openapi.yaml says what may be asked and how it is
// answered.
//
// The invariant: whatever is at the other end, every answer is bounded in size
// and in time, and an error says what a person can do about it. A token goes to
// the address that was named and nowhere else.
package client
