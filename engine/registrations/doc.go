// Package registrations holds what the switch reports about addresses that should
// not be banned: registered phones, dialogues, the switch's own gateways, and failed
// accounts.
//
// It stands beside the path from an event to a ban. It learns from the events that
// rules see, and the engine asks it before it enters an order.
//
// Invariant: an address counts as registered exactly as long as one of its
// registrations lives. A registration lives until it is removed, or until one minute
// after it expires; time is an argument. Memory is bounded: 100,000 registrations
// (40 MB as phones write them, 130 MB at most; a phone that two sources report counts
// twice), 100,000 hosts with a dialogue (30 MB)
// and 10,000 addresses of gateways.
package registrations
