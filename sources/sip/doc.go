// Package sip reads SIP messages as they were on the wire, mirrored by a switch or a capture
// agent over HEP: `source "sip" "name"`. It replays recordings of HEP, pcap and pcapng.
//
// It stands first on the path, where bytes become events, beside the event socket and the
// log. Packages hep and pcap read packets, package exchange makes events of them, and a
// bounded queue holds those while the engine is busy.
//
// Invariant: reading never waits for the engine. What does not fit is dropped and counted.
//
// Trap: any process of the host can send to a listener on loopback, and any host to another
// one, unless `from` and `key` say otherwise.
package sip
