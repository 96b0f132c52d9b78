// Package esltest is a fake FreeSWITCH event socket for tests.
//
// It stands where the switch would, before the path begins. It plays recordings,
// sends events and log records, answers api commands, and fails in the ways of a
// switch or a network.
//
// Invariant: it refuses what the real event socket refuses, with the same bytes, and
// sends a connection only what the connection has subscribed to.
package esltest
