// Package clock keeps time while clocks are wrong: that of the host, which may be stepped, and
// those that stamp the reports of sources.
//
// It stands beside the core. A [Clock] tells by how much the host's clock was stepped. An
// [Offset] estimates what is to be added to the stamps of one source. [Nap] waits at little cost.
//
// Invariant: nothing here moves a time by itself. The core is told by how much, and then moves
// everything that it remembers, so that the distances between times stay.
package clock
