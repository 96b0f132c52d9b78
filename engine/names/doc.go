// Package names keeps the addresses of the DNS names that the rule files trust.
//
// It stands beside the path: the core asks it which names are due, has each looked up on a
// goroutine of its own, and hands the answer back. What a name resolves to becomes trust of the ledger.
//
// Invariant: a lookup that fails takes no address away, and a name never has more than
// [MaxAddresses]. A [Table] belongs to one goroutine and reads no clock.
package names
