package learn

import (
	"cmp"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

const (
	// maxAddresses bounds the addresses that are remembered. Beyond it those are
	// forgotten that did the least, and of all those that never registered.
	maxAddresses = 200_000

	// maxAccounts bounds the accounts of which is remembered where they registered.
	maxAccounts = 100_000
)

// Events are the events that a Notebook makes use of, beside those that the rules
// count.
var Events = []string{
	event.AuthSuccess, event.Registered, event.Challenge, event.Call, event.CallRejected,
	event.AuthFailure, event.UnknownUser, event.AuthMalformed, event.VertoLoginFailure,
	event.ACLReject, event.ESLDenied, event.LogForgery, event.Gateway, event.GatewayRemoved,
}

// Options say how to learn.
type Options struct {
	Rules   []*rule.Spec
	Trusted *ban.Trust // never nil; of them nothing needs to be learned

	// Forgeable tells whether callers can write what a source reports: a log. Never nil.
	Forgeable func(source string) bool

	// Days is on how many days an address must have been seen to be proposed.
	Days int
}

// A Notebook remembers, in bounded memory, what every address did. It belongs to
// one goroutine and reads no clock.
type Notebook struct {
	Options
	addresses map[netip.Prefix]*address
	limit     int   // maxAddresses, but in tests
	forgotten int64 // records of addresses, for lack of room
	homes     map[uint64]home
	rules     []*ruleNotes
	measure   *measure
	seed      maphash.Seed // unforeseeable, so that no caller can make two names look like one

	from, to time.Time
	events   int64
}

// A home is where an account registered first.
type home struct {
	at     netip.Prefix
	others bool // it registered elsewhere, too
}

// New returns an empty notebook.
func New(o Options) *Notebook {
	n := &Notebook{
		Options: o, addresses: map[netip.Prefix]*address{}, limit: maxAddresses,
		homes: map[uint64]home{}, seed: maphash.MakeSeed(), measure: newMeasure(o.Rules),
	}
	for _, spec := range o.Rules {
		n.rules = append(n.rules, &ruleNotes{spec: spec, wide: map[netip.Prefix]time.Time{}})
	}
	return n
}

// Note takes in one event. Events come in the order of their times, more or less.
func (n *Notebook) Note(ev *event.Event) {
	n.events++
	if n.from.IsZero() || ev.Time.Before(n.from) {
		n.from = ev.Time
	}
	if ev.Time.After(n.to) {
		n.to = ev.Time
	}
	if ev.Name == event.GatewayRemoved {
		n.removeGateway(ev)
		return
	}
	a := n.address(ev.IP)
	if a != nil {
		a.see(ev.IP, ev.Time)
	}
	n.measure.count(ev, a)
	if a == nil || ev.Repeat {
		return // a second report of what was told already
	}
	n.tally(a, ev)
}

// address is the record of whoever has the address; nil where there is none. It is
// the unit that a ban would take: whoever has one IPv6 address has a /64 of them.
func (n *Notebook) address(ip netip.Addr) *address {
	network, ok := rule.Host.Of(ip)
	if !ok {
		return nil
	}
	a := n.addresses[network]
	if a == nil {
		if len(n.addresses) >= n.limit {
			n.thin()
		}
		a = &address{network: network, single: ip}
		n.addresses[network] = a
	}
	return a
}

// thin forgets the half of the addresses that did the least, of those alike the ones
// that were seen the longest ago: those that matter are seen again.
func (n *Notebook) thin() {
	least := slices.SortedFunc(maps.Values(n.addresses), func(a, b *address) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), a.last.Compare(b.last), a.network.Compare(b.network))
	})
	for _, a := range least[:(len(least)+1)/2] {
		delete(n.addresses, a.network)
		n.forgotten++
	}
}

// tally counts what an event says for or against an address.
func (n *Notebook) tally(a *address, ev *event.Event) {
	t := &a.told[byStream]
	if n.Forgeable(ev.Source) {
		t = &a.told[byLog]
	}
	switch ev.Name {
	case event.AuthSuccess:
		t.accepted++
		n.noteWell(a, ev)
	case event.Registered:
		// Without a password it says nothing about who he is.
		if ev.Fields["authenticated"] == "false" {
			t.blind++
			return
		}
		t.registered++
		n.noteWell(a, ev)
	case event.Challenge:
		t.challenges++
	case event.Call:
		t.calls++
		n.noteCall(a, ev)
	case event.CallRejected:
		t.rejected++
	case event.AuthFailure, event.UnknownUser, event.AuthMalformed, event.VertoLoginFailure:
		t.failures++
		a.failed.add(n.hash(ev.User), maxFailed)
		if len(a.well) > 0 { // or it will hardly be proposed, and names take room
			a.failedNames = remember(a.failedNames, ev.User)
		}
	case event.ACLReject, event.ESLDenied:
		t.refused++
	case event.LogForgery:
		t.forgeries++
	case event.Gateway:
		a.gateways = remember(a.gateways, ev.Fields["gateway"])
	}
}

// noteWell notes an account whose password was accepted. Accounts are told apart
// by their user alone: FreeSWITCH reports the realm for a domain, or the host, or
// an alias of it.
func (n *Notebook) noteWell(a *address, ev *event.Event) {
	if ev.User == "" {
		return
	}
	account := n.hash(ev.User)
	a.agents = remember(a.agents, ev.UserAgent)
	if !a.well.add(account, maxWell) {
		return
	}
	a.wellNames = remember(a.wellNames, ev.User)
	at, known := n.homes[account]
	switch {
	case !known && len(n.homes) < maxAccounts:
		n.homes[account] = home{at: a.network}
	case known && at.at != a.network:
		n.homes[account] = home{at: at.at, others: true}
	}
}

func (n *Notebook) noteCall(a *address, ev *event.Event) {
	if len(a.callers) >= fewestCallers {
		a.agents = remember(a.agents, ev.UserAgent)
	}
	if ev.User != "" {
		a.callers.add(n.hash(ev.User), maxNumbers)
	}
	if ev.Destination != "" && !a.numbers.add(n.hash(ev.Destination), maxNumbers) {
		a.again++
	}
}

// removeGateway forgets a gateway, at one address or at all of its.
func (n *Notebook) removeGateway(ev *event.Event) {
	name := brief(ev.Fields["gateway"])
	for _, a := range n.addresses {
		if len(a.gateways) > 0 && (!ev.IP.IsValid() || a.network.Contains(ev.IP)) {
			a.gateways = slices.DeleteFunc(a.gateways, func(g string) bool { return g == name })
		}
	}
}

// hash gives a name a number, so that many names take little room.
func (n *Notebook) hash(name string) uint64 { return maphash.String(n.seed, name) }

// Outcome is what a rule that fired would have led to.
type Outcome uint8

const (
	Banned  Outcome = iota // a ban, or a longer one
	Alerted                // somebody is told
	Refused                // no ban, because the target is trusted or protected
	Already                // it was banned already, by this rule or another
	outcomes
)

// A Catch is one decision of a rule.
type Catch struct {
	Rule    string
	Outcome Outcome
	At      time.Time
	Target  netip.Prefix // invalid where the event bore no address
	Address netip.Addr   // of the event that fired
}

// Caught takes in what a rule decided, after the event that made it do so. Rules
// that are not among the options are passed over.
func (n *Notebook) Caught(c Catch) {
	i := slices.IndexFunc(n.rules, func(r *ruleNotes) bool { return r.spec.Name == c.Rule })
	if i < 0 {
		return
	}
	r := n.rules[i]
	r.outcomes[c.Outcome]++
	if a := n.address(c.Address); a != nil {
		a.catch(i, c.At, c.Outcome == Refused)
	}
	if host, ok := rule.Host.Of(c.Target.Addr()); ok && c.Target.Bits() < host.Bits() && c.Outcome == Banned {
		r.widen(c.Target, c.At)
	}
}
