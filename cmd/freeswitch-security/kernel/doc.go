// Package kernel tests the daemon as a whole against the real kernel: the binary,
// with the shipped plugins, a log that is written to, iptables and ipset, and
// packets that arrive or do not.
//
// Its tests have the build tag "kernel" and need root. They run in a network
// namespace of their own; the attackers' packets come from a second one.
//
//	go test -tags kernel ./cmd/freeswitch-security/kernel
//
// The invariant: the host's own firewall is never touched. Outside of a namespace
// of its own the test binary does not run a single test.
package kernel
