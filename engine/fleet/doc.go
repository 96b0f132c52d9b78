// Package fleet shares bans, unbans and trust with the guards of other switches, and carries what
// they report to each other, through NATS servers with JetStream.
//
// It stands beside the ledger. A [Node] reads the changes of the ledger and proposes them to a
// bucket of JetStream's key-value store, and passes what its peers have put there to the engine,
// which asks its trust and protection and enters it into the ledger. A ban has one key, its target,
// and its value is a [Record]: the absolute end, the rule, the reason and the node that decided.
//
// Invariant: the bucket is a level, as the kernel's rules are. What a node has to tell is the
// difference between its ledger and what the bucket held last, so nothing is told twice, and nothing
// that was decided without the server is forgotten. A key changes by compare-and-set on its
// revision. Of two decisions that did not know each other, [Record.beats] says which one stands.
//
// A start never waits for a server. Without one the node goes on by itself.
package fleet
