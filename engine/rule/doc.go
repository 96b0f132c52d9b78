// Package rule decides: it matches events, counts them in exact sliding windows
// and, where a threshold is reached, wishes for a ban or an alert. A rule may wait
// for one event more, on the same source and of the same key: a success after many
// failures.
//
// It stands between the sources and the ledger: an event comes in through
// [Set.Observe], firings with their orders come out. What becomes of an order
// is the ledger's business.
//
// The invariant: what a rule does depends on nothing but the events that it was
// given, in the order in which it was given them. There is no clock here, no
// goroutine and no lock, and the memory of every rule has a stated bound: per
// source 200,000 keys and a million matches, some 23 MB where each key has one
// match and 61 MB at the most, 10 MB of what was told of whom, beside 8 MB of
// evidence for all rules together.
package rule
