// Package message reads SIP messages (RFC 3261), as far as a guard needs them.
//
// It stands behind the readers of captures: a [Splitter] cuts the bytes of a connection into
// messages, [Parse] reads one message, [Classify] says what a packet is that is none.
//
// Invariant: every field is a slice of the bytes that were read, so nothing is allocated, and
// nothing is kept. Whatever the bytes are, reading them takes time linear in their number.
package message
