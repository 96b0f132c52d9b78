// Package esltest is a FreeSWITCH that is none: an event socket for tests and
// demonstrations.
//
// It stands where the switch would, before the path begins. It plays recordings,
// makes events of its own, answers api commands, and fails in every way in which a
// switch or the network between fails.
//
// The invariant: it refuses what the real event socket refuses, with the same
// bytes, and sends nobody what he has not subscribed to.
package esltest
