// Package notice is what the nodes of a fleet tell each other about events: matches that a rule
// counts over all nodes, its firings, and what the switch of a node knows.
//
// A Message holds several notices of one node, in a form that is small, versioned and bounded. A peer
// may be hostile, or of another version: Decode refuses what is out of bounds, and ignores fields that
// it does not know. An Outbox makes messages, an Inbox takes them: it passes each notice on once, and
// no more than a peer may tell in a second.
package notice
