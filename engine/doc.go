// Package engine puts the parts together: sources feed one counting core, the
// core asks the ledger, and what came of it is told as verdicts.
//
// It stands around the whole path and has two drivers for it. [Engine.Replay]
// reads recordings and takes its time from the events; [Engine.Run] follows
// live sources and takes it from the clock. Both end in the same [Engine.observe].
//
// The invariant: one goroutine counts. Whatever the number of sources, events
// reach the rules one after the other, a reload falls between two of them, and
// the same events in the same order give the same verdicts.
package engine
