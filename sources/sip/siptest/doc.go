// Package siptest makes SIP traffic as a capture shows it, for tests.
//
// A [Wire] records what a switch and its peers send. Each method of a [Peer] is one exchange of
// messages: what the peer sends, and what FreeSWITCH 1.10.12 answers. [Busy] is a switch with many
// phones.
//
// Invariant: the same seed and calls make the same packets. No clock is read.
package siptest
