// Package event defines the value that flows through the program: one thing that
// happened at a FreeSWITCH, in the same words from every source.
//
// It is the first station of the path: sources make events, rules read them, and
// the ledger keeps them as evidence. [Fields] is the table of an event's fields and
// [Vocabulary] the table of event names. Rules, keys, test blocks, probes and the
// documentation derive from both.
//
// Invariant: an Event is bounded and typed before a rule sees it. Its address is a
// parsed [netip.Addr], every text that an attacker could have written is cut to
// [MaxField] or [MaxText] bytes, and its time is the source's. This package reads
// no clock.
package event
