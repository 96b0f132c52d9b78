// Package status holds the types that say how a running engine is doing: its
// sources, rules and actions, what the kernel enforces, and the problems.
//
// It stands beside the path. A fact is filled in where it is known: the counters of
// a source by the source, a jump by actions/iptables, a delivery by actions/webhook.
// The admin listener serves the same values as JSON, and its clients decode them.
//
// Invariant: a value of this package is a snapshot. It shares no memory that its
// producer still writes, so that it may be kept and read from any goroutine.
//
// The time of something that has not happened is the zero time, and is left out of the JSON. A
// number that could not be read is a nil pointer, and null in the JSON.
package status
