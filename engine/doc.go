// Package engine is the engine: sources report events to one core, its rules count them,
// the ledger decides, and actions enforce the changes.
//
// It stands around the whole path and has two drivers. [Engine.Replay] reads recordings and
// takes the time from their events; [Engine.Run] follows live sources and takes the time
// from the clock. Both call [Engine.observe].
//
// Invariant: one goroutine counts. Whatever the number of sources, events reach the rules
// one after the other, a reload falls between two of them, and the same events in the same
// order lead to the same changes.
package engine
