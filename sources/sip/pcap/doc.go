// Package pcap reads the SIP traffic of a pcap or pcapng file.
//
// It stands before the reader of SIP messages, as package hep does. A [Reader] takes SIP over
// UDP and TCP out of everything else that was recorded, joins fragments, and hands on the pieces
// of a connection in their order. Files, link layers and fragments are read by gopacket, in its
// parts without libpcap. The order of TCP pieces is our own: gopacket/reassembly bounds neither
// the number of connections nor the time that it waits for a lost piece.
//
// Invariant: whatever was recorded, a reader holds at most 32 MB of fragments, 16 MB of pieces of
// connections and what it knows of 16,384 directions of connections and 4,096 endpoints.
package pcap
