// Package known remembers whom the switch itself knows: the accounts that are
// registered, with the addresses they registered from, and the gateways that the
// switch calls through.
//
// It stands beside the path from an event to a ban: it learns from the same
// events as the rules, and the engine asks it before it enters an order.
//
// The invariant: an address counts as registered exactly as long as one of its
// registrations lives. A registration lives until it is removed, or until its
// time and a minute more are over; time is an argument. Memory is bounded: 100,000
// registrations, some 40 MB as phones write them and 130 MB at the most, and
// 10,000 addresses of gateways.
package known
