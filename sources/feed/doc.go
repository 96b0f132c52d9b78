// Package feed keeps lists from elsewhere in force: `source "feed" "name" { … }`.
//
// It stands beside the path rather than on it: what a list names goes to the
// ledger as a [ban.Order], without an event and without a rule, and is refused
// there like any other order: trust comes first. A list is a file, an address on
// the web, or APIBAN, and is looked at anew in an interval.
//
// The invariant: a list that cannot be believed changes nothing. One that was not
// read to its end, is mostly unreadable, or has shrunk or grown out of all
// proportion lifts no ban and orders none; what was listed before then ends by
// itself, with the term of each entry. The one exception is APIBAN's, which comes
// in pages: the pages that came add bans, and lift none.
//
//	source "feed" "apiban" {
//	  format   = "apiban" # or "apiban-v1", "plain", "csv", "json"; absent: told by the content
//	  key      = env("APIBAN_KEY")
//	  interval = "5m"
//	}
//
//	source "feed" "peer" { # what another node has banned
//	  url     = "https://pbx2.example.org/security/blacklist"
//	  headers = { Authorization = env("PEER_TOKEN") }
//	  ttl     = "1h" # where an entry tells no time of its own
//	  max_ttl = "1d" # also of what is permanent there
//	  guard   = 0.5  # shrunk or grown by more: refused
//	}
package feed
