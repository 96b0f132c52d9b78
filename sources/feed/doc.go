// Package feed keeps the targets of external lists banned: `source "feed" "name" { … }`.
//
// It stands beside the path: a listed target goes to the ledger as a [ban.Order],
// without an event and without a rule, and the ledger may refuse it like any other
// order: trust comes first. A list is a file, a URL, or APIBAN, and is read at an
// interval.
//
// Invariant: a list that is not credible changes nothing. If it could not be read to its
// end, is mostly unreadable, or has shrunk or grown out of proportion, it ends no ban
// and orders none; earlier bans expire. The one exception is APIBAN's,
// which comes in pages: pages that were read before a failure add bans, and end none.
package feed
