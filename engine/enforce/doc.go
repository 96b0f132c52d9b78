// Package enforce keeps the world in agreement with the ledger.
//
// It stands behind the ledger on the path: one [Runner] for each action takes
// the committed changes, hands them to the action in batches, tries again what
// failed, and, where the action holds a state outside of the program, compares
// that state with the bans on a timer and has it mended.
//
// The invariant: enforcement is a level, not an edge. A runner never forgets a
// change that its action has not carried out, and whatever was missed, lost or
// undone by others, the next resync makes good. Runners know nothing of each
// other: a dead endpoint of one never delays another.
package enforce
