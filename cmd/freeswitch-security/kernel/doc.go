// Package kernel tests the daemon against the real kernel: the binary with the shipped plugins, a log that the test writes, iptables and ipset, and packets that arrive or do not.
//
// Its tests have the build tag "kernel" and need root. They run in a network namespace of their own;
// the packets of the attackers come from a second one.
//
//	go test -tags kernel ./cmd/freeswitch-security/kernel
//
// Invariant: the firewall of the host is never touched. Outside of a namespace of its own the test
// binary runs no test.
package kernel
