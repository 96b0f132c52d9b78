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
//
//	source "feed" "apiban" {
//	  format   = "apiban" # or "apiban-v1", "plain", "csv", "json"; default: by content
//	  key      = env("APIBAN_KEY")
//	  interval = "5m"
//	}
//
//	source "feed" "peer" { # bans of another node
//	  url     = "https://pbx2.example.org/security/blacklist"
//	  headers = { Authorization = env("PEER_TOKEN") }
//	  ttl     = "1h" # of an entry without a term
//	  max_ttl = "1d" # also of permanent entries
//	  guard   = 0.5  # a list that shrinks or grows by more is refused
//	}
package feed
