// Package ban is the ledger: what is banned, for how long and why, and what must
// never be banned.
//
// It stands in the middle of the path. Rules, feeds, the API and restored state make
// an [Order] and pass it to [Ledger.Enter]. The log, the API and actions read the
// [Change]s that result.
//
// Invariant: no ban ever covers a trusted address. Enter guarantees the rest
// too: a rule never shortens a ban, an unbanned address has its grace, and a refusal is a
// change that can be read. The package reads no clock.
package ban
