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
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
)

const (
	// maxAddresses bounds the addresses. Beyond it half of them are dropped: those
	// that did the least, and strangers before all others.
	maxAddresses = 200_000

	// maxHomes bounds the accounts of which is known where they register.
	maxHomes = 100_000
)

// Events are the events that a Recorder uses, beside those that the rules count.
var Events = append(slices.Sorted(maps.Keys(counterOf)), event.Gateway, event.GatewayRemoved, event.CallEnded)

// Options say how to learn.
type Options struct {
	Rules   []*rule.Spec
	Trusted *ban.Trust // never nil; proposals leave these networks out
	NAT64   ban.NAT64  // of the site

	Numbering *numbering.Plan // of the site; never nil

	// Forgeable reports whether callers can write what a source reports. Never nil.
	Forgeable func(source string) bool

	// Days is on how many days an address must have been seen to be proposed.
	Days int
}

// A Recorder records in bounded memory what each address did. It is not safe for
// concurrent use, and reads no clock.
type Recorder struct {
	Options
	addresses map[netip.Prefix]*address
	limit     int   // maxAddresses, except in tests
	forgotten int64 // records dropped for lack of room
	homes     map[uint64]home
	callers   map[uint64]*caller
	open      map[string]*caller // calls, by their uuid
	rules     []*ruleTotals
	measure   *rule.Set
	seed      maphash.Seed // unpredictable, so that no caller can make two names collide

	from, to time.Time
	events   int64
}

// A home is where an account registered first.
type home struct {
	at      netip.Prefix
	roaming bool // it also registered elsewhere
}

// New returns an empty Recorder.
func New(o Options) *Recorder {
	r := &Recorder{
		Options: o, addresses: map[netip.Prefix]*address{}, limit: maxAddresses,
		homes: map[uint64]home{}, callers: map[uint64]*caller{}, open: map[string]*caller{}, seed: maphash.MakeSeed(),
	}
	r.measure = r.measureOf(o.Rules)
	for _, spec := range o.Rules {
		r.rules = append(r.rules, &ruleTotals{spec: spec, wide: map[netip.Prefix]time.Time{}})
	}
	return r
}

// Record takes one event. Events come roughly in the order of their times.
func (r *Recorder) Record(ev *event.Event) {
	r.events++
	if r.from.IsZero() || ev.Time.Before(r.from) {
		r.from = ev.Time
	}
	if ev.Time.After(r.to) {
		r.to = ev.Time
	}
	if ev.Name == event.GatewayRemoved {
		r.removeGateway(ev)
		return
	}
	a := r.address(ev.IP)
	if a != nil {
		a.see(ev.IP, ev.Time)
	}
	r.measure.Observe(ev, func(*rule.Firing) {})
	if a != nil && !ev.Repeat {
		r.count(a, ev)
	}
	switch {
	case ev.Name == event.Call && !ev.Repeat:
		r.call(ev)
	case ev.Name == event.CallEnded:
		r.end(ev)
	}
}

// address returns the record of an address; nil without one. It is the unit of a
// ban: one IPv6 host has a /64.
func (r *Recorder) address(ip netip.Addr) *address {
	network, ok := rule.Host.Of(ip, r.NAT64)
	if !ok {
		return nil
	}
	a := r.addresses[network]
	if a == nil {
		if len(r.addresses) >= r.limit {
			r.thin()
		}
		a = &address{network: network, single: ip}
		r.addresses[network] = a
	}
	return a
}

// thin drops the half of the addresses that did the least, among equals those not
// seen for the longest time.
func (r *Recorder) thin() {
	least := slices.SortedFunc(maps.Values(r.addresses), func(a, b *address) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), a.last.Compare(b.last), a.network.Compare(b.network))
	})
	for _, a := range least[:(len(least)+1)/2] {
		delete(r.addresses, a.network)
		r.forgotten++
	}
}

// count adds an event to the record of its address.
func (r *Recorder) count(a *address, ev *event.Event) {
	if ev.Name == event.Gateway {
		a.gateways = remember(a.gateways, ev.Fields["gateway"])
	}
	counter, ok := counterOf[ev.Name]
	if !ok {
		return
	}
	if ev.Name == event.Registered && ev.Fields["authenticated"] == "false" {
		counter = unauthenticated
	}
	origin := byStream
	if r.Forgeable(ev.Source) {
		origin = byLog
	}
	if (counter == accepted || counter == registered) && a.success() == 0 {
		a.guessed = a.count(failures) >= guessedAfter
	}
	a.counts[origin][counter]++
	switch counter {
	case accepted, registered:
		r.addAccount(a, ev)
	case calls:
		r.addCall(a, ev)
	case failures:
		a.failed.add(r.hash(ev.User), maxFailed)
		if len(a.accounts) > 0 { // else it is hardly proposed, and names take room
			a.failedNames = remember(a.failedNames, ev.User)
		}
	}
}

// addAccount records an account whose password was accepted. The user alone names it:
// FreeSWITCH reports the realm for a domain, or the host, or an alias of it.
func (r *Recorder) addAccount(a *address, ev *event.Event) {
	if ev.User == "" {
		return
	}
	account := r.hash(ev.User)
	a.agents = remember(a.agents, ev.UserAgent)
	if !a.accounts.add(account, maxAccounts) {
		return
	}
	a.accountNames = remember(a.accountNames, ev.User)
	at, known := r.homes[account]
	switch {
	case !known && len(r.homes) < maxHomes:
		r.homes[account] = home{at: a.network}
	case known && at.at != a.network:
		r.homes[account] = home{at: at.at, roaming: true}
	}
}

func (r *Recorder) addCall(a *address, ev *event.Event) {
	if len(a.callers) >= minCallers {
		a.agents = remember(a.agents, ev.UserAgent)
	}
	if ev.User != "" {
		a.callers.add(r.hash(ev.User), maxCallers)
	}
}

// removeGateway removes a gateway at one address, or at all if the event has none.
func (r *Recorder) removeGateway(ev *event.Event) {
	name := event.Bound(ev.Fields["gateway"], maxName)
	for _, a := range r.addresses {
		if len(a.gateways) > 0 && (!ev.IP.IsValid() || a.network.Contains(ev.IP)) {
			a.gateways = slices.DeleteFunc(a.gateways, func(g string) bool { return g == name })
		}
	}
}

// hash turns the name of an account into a number, so that many names take little room.
func (r *Recorder) hash(name string) uint64 { return maphash.String(r.seed, event.Fold(name)) }
