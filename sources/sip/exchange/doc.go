// Package exchange makes events of the SIP packets that a switch and its peers exchange.
//
// It stands between the readers of captures and the queue of the source: [Table.Take] tells the
// switch's side, reads a packet, matches answers to requests, and reports what the peer did.
//
// Invariant: only what a peer sends makes an event, and only an answer of the switch makes one of
// its outcome. Time is that of the packets, and the same packets always make the same events.
// Memory is bounded: 60 MB if every field is as long as it may be, 15 MB as phones write them.
//
// # What can be forged
//
// Over UDP, the sender of a request. So an event is Proven only if it came over a connection, or
// has credentials whose nonce the switch sent to that address. A failure whose nonce the switch
// sent to another address counts at that address: the sender has had the nonce from there, and a
// forger cannot see what the switch sends to its victim. An unknown nonce proves nothing.
// A capture of single packets, as opposed to a mirror in the switch, also has pieces of
// connections that were never established.
//
// Not the destination of a packet that the switch received, nor anything that it sent: so not
// which side is the switch, not a nonce, not an answer, not the tags and branches of the switch.
// Text within a message is the sender's: every field is bounded.
package exchange
