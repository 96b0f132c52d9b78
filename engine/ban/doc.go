// Package ban holds who is banned, for how long, why, and who never may be.
//
// It stands in the middle of the path: rules, feeds, the API and restored state
// all write an [Order] and hand it to [Ledger.Enter]; actions read the
// [Change]s that come of it. Nobody else consults trust, counts offences or
// decides how long a ban lasts.
//
// The invariant: no ban ever covers a trusted address. Every other promise of
// the ledger (a ban is never shortened by a rule, an unbanned address keeps its
// grace, a refusal is a fact that can be read) is kept in Enter as well, in the
// order in which they are written there. The package reads no clock.
package ban
