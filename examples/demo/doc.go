// Command demo shows the guard at work: the real daemon, on a recorded attack
// that is played into a live log.
//
// As root it does so in two network namespaces of its own: one is the switch,
// with the daemon and its firewall, the other the Internet, where the attackers
// of the recording keep sending packets. It shows the verdicts, the chain, and
// that an attacker's packets stop. Without root the daemon runs dry.
//
// The invariant: it ends by itself and leaves nothing behind. The namespaces are
// those of its own processes and end with them; all files are in one temporary
// directory.
//
//	go run ./examples/demo ./freeswitch-security
package main
