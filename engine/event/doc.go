// Package event holds the one value that flows through the program: what a
// FreeSWITCH reported, once, in the same words whichever source reported it.
//
// It stands first on the path: sources make events, rules read them, and the
// ledger keeps them as evidence.
//
// The invariant: an Event is bounded and typed before anyone else sees it. Its
// address is a parsed [netip.Addr], every text that a caller could have written
// is cut to [MaxField] or [MaxText] bytes, and its time is the source's own,
// never this package's: event reads no clock.
package event
