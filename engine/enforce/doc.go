// Package enforce keeps what actions enforce in agreement with the ledger.
//
// It stands behind the ledger on the path. One [Runner] for each action takes the
// changes, passes them to the action in batches and retries what failed. If the action is
// a level, the runner compares its state with the bans on a timer and repairs drift.
//
// Invariant: enforcement compares states and does not rely on changes alone (it is a
// level, not an edge). A runner forgets no change that its
// action has not carried out, and the next resync repairs what was missed, lost or undone
// by others. Runners are independent: a dead endpoint of one never delays another.
package enforce
