package esl

import (
	"fmt"
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// maxAccounts bounds the accounts of one change.
const maxAccounts = 20

// An account is one whose password the switch has verified.
type account struct{ user, domain string }

// fold returns the account in the form in which the switch compares it.
func (a account) fold() account { return account{event.Fold(a.user), event.Fold(a.domain)} }

// A task is what one change asks the action to do.
type task struct {
	seq      uint64       // of the change
	network  netip.Prefix // invalid: act on accounts only
	address  netip.Addr   // the one that fired, in network; invalid if unknown
	rule     string
	accounts []account           // newest first
	places   map[netip.Addr]bool // from which the accounts were used
	spares   bool                // the target is protected
}

// taskOf returns the task of a change for the action of that name; nil if there is none.
func taskOf(c *ban.Change, action string) *task {
	t := &task{seq: c.Seq, network: c.Ban.Target.Prefix(), rule: c.Ban.Rule, places: map[netip.Addr]bool{}}
	switch c.Kind {
	case ban.KindBan, ban.KindExtend:
	case ban.KindAlert:
		if !slices.Contains(c.Ban.Actions, action) {
			return nil
		}
	case ban.KindSpare:
		t.network, t.spares = netip.Prefix{}, true
	default:
		return nil
	}
	if t.network.IsSingleIP() {
		t.address = t.network.Addr()
	}
	for _, e := range slices.Backward(c.Ban.Evidence) {
		if !t.address.IsValid() && t.network.Contains(e.IP) {
			t.address = e.IP
		}
		if e.User == "" || !e.Proven {
			continue
		}
		a := account{e.User, e.Domain}
		if !slices.ContainsFunc(t.accounts, func(other account) bool { return other.fold() == a.fold() }) {
			if len(t.accounts) == maxAccounts {
				continue
			}
			t.accounts = append(t.accounts, a)
		}
		if e.IP.IsValid() {
			t.places[e.IP] = true
		}
	}
	return t
}

// subject is equal for tasks that do the same, if they are of one batch.
func (t *task) subject() string {
	return fmt.Sprint(t.rule, t.network, t.address, t.spares, t.accounts)
}

// A party is a call or registration: the addresses and the account that the switch lists
// for it.
type party struct {
	ips          []string
	user, domain string
	accountCode  string // another name of the user; "" if there is none
}

// matches reports whether the task is about a party.
func (t *task) matches(p *party, by scope) bool {
	if by == byIP {
		return hasAddr(p.ips, t.network.Contains)
	}
	return t.hasAccount(p) || hasAddr(p.ips, func(ip netip.Addr) bool { return t.places[ip] }) && (t.hasUser(p.user) || t.hasUser(p.accountCode))
}

func hasAddr(texts []string, matches func(netip.Addr) bool) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		ip, _, ok := event.ParseAddr(text)
		return ok && matches(ip)
	})
}

// hasAccount reports whether the party has an account of the task. An account without a
// domain is of any domain.
func (t *task) hasAccount(p *party) bool {
	listed := account{p.user, p.domain}.fold()
	return p.user != "" && slices.ContainsFunc(t.accounts, func(a account) bool {
		a = a.fold()
		return a == listed || a == account{user: listed.user}
	})
}

// hasUser reports whether an account of the task has the user, in any domain: the realm of
// an account may differ from the domain of its calls and registrations.
func (t *task) hasUser(user string) bool {
	return user != "" && slices.ContainsFunc(t.accounts, func(a account) bool { return event.Fold(a.user) == event.Fold(user) })
}
