package esl

import (
	"net/netip"
	"slices"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// maxAccounts is how many accounts of one change are acted on.
const maxAccounts = 20

// An account is one that the switch let in.
type account struct{ user, domain string }

// A wish is whom one change asks to act on.
type wish struct {
	seq      uint64       // of the change
	network  netip.Prefix // invalid: nobody by address
	address  netip.Addr   // the one that fired, in network; invalid where it is not known
	rule     string
	accounts []account // newest first
	// places are the addresses from which the accounts were used.
	places  map[netip.Addr]bool
	sparing bool // the target is protected
}

// wishOf says whom a change asks the action of that name to act on; not ok if
// nobody.
func wishOf(c *ban.Change, action string) (w wish, ok bool) {
	w = wish{seq: c.Seq, rule: c.Ban.Rule, sparing: c.Kind == ban.Spared, places: map[netip.Addr]bool{}}
	switch c.Kind {
	case ban.Banned, ban.Extended:
		w.network = c.Ban.Target
	case ban.Alerted:
		if !slices.Contains(c.Ban.Actions, action) {
			return w, false
		}
		w.network = c.Ban.Target
	case ban.Spared:
	default:
		return w, false
	}
	w.readEvidence(c.Ban.Evidence)
	return w, true
}

func (w *wish) readEvidence(evidence []ban.Evidence) {
	if w.network.IsValid() && w.network.IsSingleIP() {
		w.address = w.network.Addr()
	}
	for _, e := range slices.Backward(evidence) {
		if !w.address.IsValid() && w.network.IsValid() && w.network.Contains(e.IP) {
			w.address = e.IP
		}
		if e.User == "" || !e.Proven {
			continue
		}
		if a := (account{e.User, e.Domain}); !slices.Contains(w.accounts, a) {
			if len(w.accounts) == maxAccounts {
				continue
			}
			w.accounts = append(w.accounts, a)
		}
		if e.IP.IsValid() {
			w.places[e.IP] = true
		}
	}
}

// covers reports whether any of the addresses, as the switch prints them, is in
// the network that the wish is about.
func (w *wish) covers(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		addr, _, ok := event.ParseAddr(text)
		return ok && w.network.IsValid() && w.network.Contains(addr)
	})
}

// means reports whether user@domain is an account of the wish. An account whose
// domain is not told is anybody's of that name.
func (w *wish) means(user, domain string) bool {
	return user != "" && slices.ContainsFunc(w.accounts, func(a account) bool {
		return a.user == user && (a.domain == "" || strings.EqualFold(a.domain, domain))
	})
}

// usedAt reports whether an account of that name was used from one of the
// addresses. What is there now is that account's, though its domain be another: a
// realm need not be the domain of the call or of the registration.
func (w *wish) usedAt(user string, texts ...string) bool {
	return user != "" && slices.ContainsFunc(w.accounts, func(a account) bool { return a.user == user }) &&
		slices.ContainsFunc(texts, func(text string) bool {
			addr, _, ok := event.ParseAddr(text)
			return ok && w.places[addr]
		})
}
