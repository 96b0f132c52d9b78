// Command demo runs the real daemon on a recorded attack, which it plays into a live log.
//
// As root it does so in two network namespaces: one is the switch, with the daemon and its
// firewall; the other is the Internet, which sends packets from every address of the recording.
// Without root the daemon makes a dry run. It prints every ban, and a verdict: the addresses that
// no longer get through, or would not, compared with truth.json of the recording.
//
// Invariant: it ends by itself and leaves nothing behind. The namespaces end with its processes,
// and all files are in one temporary directory.
//
//	go run ./examples/demo ./freeswitch-security
package main
