// Package rule decides: it matches events, counts them in exact sliding windows, and
// orders a ban or an alert when a threshold is reached. A rule may also wait for one
// further event of the same key on the same source: a success after many failures.
// Instead of matches within a time it may count the calls that are open at once.
//
// It stands between the sources and the ledger. An event comes in through
// [Set.Observe]; firings with their orders come out. What becomes of an order is
// decided by the ledger.
//
// Invariant: what a rule does depends on nothing but the events and their order. This
// package has no clock, no goroutine and no lock, and the memory of every rule is
// bounded: per source 200,000 keys and a million matches, some 23 MB with one match per
// key and 61 MB at most, and 8 MB for evicted keys once there are any; 10 MB for the
// alerts to hold back; 200,000 targets that a used-up brake has withheld; beside them
// 4 MB of evidence for all rules together.
package rule
