// Package pcap reads the SIP traffic of a pcap or pcapng file.
//
// It stands before the reader of SIP messages, as package hep does. A [Reader] takes SIP over
// UDP and TCP out of everything else that was recorded, joins fragments, and hands on the pieces
// of a connection in their order. The tests compare it with gopacket.
//
// Invariant: whatever was recorded, a reader holds at most 32 MB of fragments, 16 MB of pieces of
// connections and what it knows of 16,384 directions of connections and 4,096 endpoints.
package pcap
