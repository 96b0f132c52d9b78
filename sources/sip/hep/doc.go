// Package hep reads the Homer Encapsulation Protocol: SIP messages that a switch, a proxy or an
// agent mirrors, each with its true sender.
//
// It stands at the beginning of the path: [Decode] reads one datagram into a packet.Packet, a
// [Reader] reads the packets of a TCP connection.
//
// Invariant: a datagram is refused with a typed error or read, whatever its bytes are, in time
// linear in their number. Nothing of a datagram with a wrong key is believed.
//
// # What FreeSWITCH sends
//
// As sofia-sip 1.13 has it (tport_logging.c), by version 3, 2 or 1 and over UDP only:
//
//   - TLS is protocol 22 (IDP), SCTP 132. WS and WSS are TCP: they cannot be told from it.
//   - Of TLS, WS and WSS it mirrors the plain SIP, without TLS and without frames of WebSocket.
//   - Of UDP a payload is a datagram of two bytes or more. Of a connection it is what one read
//     returned: a piece of a message, or several messages. Keep-alives before a message on TCP are
//     not mirrored.
//   - It mirrors 16,000 bytes at most. The payload of a longer datagram is empty, or its HEP
//     datagram ends early: the packet is marked as truncated. So is what one read of a connection
//     returned beyond that: its requests are not seen, only the answers to them.
//   - Of IPv6 it copies four bytes of the flow label in place of the address, so that all peers
//     have the address "::": see [ErrNoAddress]. What speaks IPv6 needs another agent.
//   - Its version 2 writes the time in the order of the host's bytes.
package hep
