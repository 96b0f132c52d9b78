package registrations

import (
	"container/heap"
	"container/list"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/event"

	"github.com/gaissmai/bart"
)

const (
	// maxRegistrations bounds all registrations. Beyond it the first to end is evicted:
	// among phones alike, the one without news for the longest time.
	maxRegistrations = 100_000

	// maxPerAccount bounds the registrations of one account, so that one password
	// is not enough to evict all others.
	maxPerAccount = 100

	// maxUnauthenticated bounds the profiles known to register without a password.
	// Beyond it every profile counts as one.
	maxUnauthenticated = 1000

	grace         = time.Minute        // a phone that renews late is still there
	defaultExpiry = time.Hour          // of a registration without an expiry
	longestExpiry = 7 * 24 * time.Hour // anything longer is more likely a mistake

	// listAge bounds the time from the reading of a list to its last event. What was heard since
	// is newer than the list.
	listAge = 2 * time.Minute
)

// Multiple is the raw field of a registration that leaves the others of its account in force:
// the profile allows several.
const Multiple = "multiple_registrations"

// Events are the names of the events that a Table learns from.
var Events = []string{event.Registered, event.Unregistered}

// A Table holds which accounts are registered, and at which addresses. It is safe
// for use by several goroutines.
type Table struct {
	mu              sync.Mutex                  // guards all fields
	accounts        map[account][]*registration // oldest first
	unauthenticated map[profile]bool            // profiles that also register without a password
	ofPeers         map[profile]bool            // likewise, at other nodes of a fleet
	places          bart.Table[*place]          // by address
	byEnd           byEnd
	banned          map[account]bool // accounts of any source, without one; their registrations are in no answer
	limit           int              // maxRegistrations, except in tests
	foreign         int              // registrations at other nodes of a fleet: half of the limit at most
	evicted         uint64
}

// An account is one account as one source reports it.
type account struct{ source, user, domain string }

// A profile is one SIP profile of a switch.
type profile struct{ source, name string }

// A registration is one phone of an account, at the address it was last seen at.
type registration struct {
	account  account
	profile  profile
	unproven bool // known only from a list, which does not say who authenticated
	callID   string
	contact  string
	addr     netip.Addr
	port     uint16    // that it was sent from; 0: not known
	heard    time.Time // latest report
	until    time.Time
	index    int           // in Table.byEnd
	inPlace  *list.Element // in the place at addr
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{accounts: map[account][]*registration{}, unauthenticated: map[profile]bool{}, ofPeers: map[profile]bool{}, banned: map[account]bool{}, limit: maxRegistrations}
}

// Learn takes an event, and ignores those that are not of Events.
//
// A registration without authentication protects nothing: any stranger could have
// sent it. A list of registrations (Repeat) may not say who authenticated. It is
// accepted until its profile registers a phone without authentication; from then on
// it can only confirm what is known.
func (t *Table) Learn(ev *event.Event, now time.Time) {
	if !slices.Contains(Events, ev.Name) || ev.User == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	// The switch finds an account in any case, and the caller chooses it: each spelling
	// must not count as another account.
	a := account{source: ev.From(), user: event.Fold(bounded(ev.User)), domain: event.Fold(bounded(ev.Domain))}
	switch {
	case ev.Name == event.Unregistered:
		t.unregister(a, ev)
	case ev.Fields["authenticated"] == "false":
		t.markUnauthenticated(profileOf(ev))
	case ev.IP.IsValid():
		t.register(a, ev, now)
	}
}

func profileOf(ev *event.Event) profile { return profile{ev.From(), bounded(ev.Profile)} }

// markUnauthenticated notes that a profile registers without a password, and drops
// its registrations that are known from lists only.
func (t *Table) markUnauthenticated(p profile) {
	if t.isUnauthenticated(p) {
		return
	}
	t.unauthenticatedLike(p)[profile{p.source, strings.Clone(p.name)}] = true
	for _, r := range slices.Clone(t.byEnd) {
		if r.unproven && t.isUnauthenticated(r.profile) {
			t.drop(r)
		}
	}
}

func (t *Table) isUnauthenticated(p profile) bool {
	known := t.unauthenticatedLike(p)
	return known[p] || len(known) >= maxUnauthenticated
}

// unauthenticatedLike returns the profiles of this node, or those of others: peers must not use up the bound.
func (t *Table) unauthenticatedLike(p profile) map[profile]bool {
	if foreign(p.source) {
		return t.ofPeers
	}
	return t.unauthenticated
}

// register adds or renews the registration of a phone.
func (t *Table) register(a account, ev *event.Event, now time.Time) {
	from := ev.Time
	if ev.Live {
		from = now
	}
	until := from.Add(lifetime(ev)).Add(grace)
	if !until.After(now) {
		return // it has ended already
	}
	same := t.same(a, ev)
	unproven := ev.Repeat && ev.Fields["authenticated"] != "true"
	if unproven && t.isUnauthenticated(profileOf(ev)) && (len(same) == 0 || same[0].addr != ev.IP) {
		return
	}
	if len(same) == 0 && ev.Node != "" && (t.foreign >= t.limit/2 || len(t.byEnd) >= t.limit) {
		t.evicted++
		return
	}
	replaced := t.replaced(a, ev, same)
	if ev.Repeat && slices.ContainsFunc(replaced, func(r *registration) bool { return now.Sub(r.heard) < listAge }) {
		return // the switch made its list before
	}
	r := t.renew(a, ev, same, until, unproven, now)
	for _, old := range replaced {
		if slices.Contains(t.accounts[a], old) { // add may have evicted it
			t.drop(old)
		}
	}
	if r.addr != ev.IP {
		t.leave(r)
		r.addr = ev.IP
		t.arrive(r, ev.Repeat, now)
	}
}

// renew adds a registration, or renews those that are the same.
func (t *Table) renew(a account, ev *event.Event, same []*registration, until time.Time, unproven bool, now time.Time) *registration {
	if len(same) == 0 {
		return t.add(a, ev, until, unproven, now)
	}
	for _, double := range same[1:] {
		t.drop(double)
	}
	r := same[0]
	if ev.Repeat && until.Before(r.until) {
		until = r.until // the phone renewed after the switch made its list
	}
	if !ev.Repeat || r.port == 0 {
		r.port = ev.Port
	}
	r.until, r.unproven, r.heard = until, r.unproven && unproven, now
	heap.Fix(&t.byEnd, r.index)
	return r
}

// replaced returns the registrations that a registration ends: a profile keeps one for each
// account, unless the event says that it keeps several.
func (t *Table) replaced(a account, ev *event.Event, same []*registration) (old []*registration) {
	if ev.Fields[Multiple] == "true" {
		return nil
	}
	for _, r := range t.accounts[a] {
		// A list does not always name the profile.
		onOther := r.profile != profileOf(ev) && r.profile.name != "" && ev.Profile != ""
		if !onOther && !slices.Contains(same, r) {
			old = append(old, r)
		}
	}
	return old
}

// lifetime is how long a registration lasts from its event on.
func lifetime(ev *event.Event) time.Duration {
	seconds, err := strconv.ParseInt(ev.Fields["expires"], 10, 64)
	if err != nil {
		return defaultExpiry
	}
	return time.Duration(max(0, min(seconds, int64(longestExpiry/time.Second)))) * time.Second
}

// same finds the registrations that an event is about. A phone keeps its Call-ID
// until it restarts, and its contact across a restart. An equal contact may also
// belong to another phone of the account, in another private network: then the
// addresses differ.
func (t *Table) same(a account, ev *event.Event) (found []*registration) {
	callID, contact := bounded(ev.CallID), bounded(ev.Fields["contact"])
	for _, r := range t.accounts[a] {
		if callID != "" && r.callID == callID || contact != "" && r.contact == contact && isAt(r, ev) {
			found = append(found, r)
		}
	}
	return found
}

// isAt reports whether an event is about the address of a registration; without an
// address, it is about any.
func isAt(r *registration, ev *event.Event) bool { return !ev.IP.IsValid() || r.addr == ev.IP }

// unregister removes what an event is about: a phone, or, if the event names none,
// all phones of the account, or those at its address.
func (t *Table) unregister(a account, ev *event.Event) {
	gone := t.same(a, ev)
	if ev.CallID == "" && ev.Fields["contact"] == "" {
		for _, r := range t.accounts[a] {
			if isAt(r, ev) {
				gone = append(gone, r)
			}
		}
	}
	for _, r := range gone {
		t.drop(r)
	}
}

func (t *Table) add(a account, ev *event.Event, until time.Time, unproven bool, now time.Time) *registration {
	if all := t.accounts[a]; len(all) >= maxPerAccount {
		t.evict(slices.MinFunc(all, func(a, b *registration) int { return a.until.Compare(b.until) }))
	}
	if len(t.byEnd) >= t.limit {
		t.evict(t.byEnd[0])
	}
	if all := t.accounts[a]; len(all) > 0 {
		a = all[0].account
	} else { // the account must not retain the event
		a.user, a.domain = strings.Clone(a.user), strings.Clone(a.domain)
	}
	r := &registration{
		account: a, addr: ev.IP, port: ev.Port, heard: now, until: until, unproven: unproven,
		profile: profile{ev.From(), event.Bound(ev.Profile, event.MaxField)},
		callID:  event.Bound(ev.CallID, event.MaxField), contact: event.Bound(ev.Fields["contact"], event.MaxField),
	}
	t.accounts[a] = append(t.accounts[a], r)
	heap.Push(&t.byEnd, r)
	t.arrive(r, ev.Repeat, now)
	if foreign(a.source) {
		t.foreign++
	}
	return r
}

func (t *Table) evict(r *registration) {
	t.evicted++
	t.drop(r)
}

func (t *Table) drop(r *registration) {
	rest := slices.DeleteFunc(t.accounts[r.account], func(other *registration) bool { return other == r })
	if t.accounts[r.account] = rest; len(rest) == 0 {
		delete(t.accounts, r.account)
	}
	heap.Remove(&t.byEnd, r.index)
	t.leave(r)
	if foreign(r.account.source) {
		t.foreign--
	}
}

// advance drops the registrations that have ended at now.
func (t *Table) advance(now time.Time) {
	for len(t.byEnd) > 0 && !t.byEnd[0].until.After(now) {
		t.drop(t.byEnd[0])
	}
}

// Step moves all times by a step of the host's clock.
func (t *Table) Step(by time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.byEnd {
		r.until, r.heard = r.until.Add(by), r.heard.Add(by)
	}
	for _, p := range t.places.All() {
		if !p.since.IsZero() {
			p.since = p.since.Add(by)
		}
	}
}

// Retain drops what came from sources for which keep is false.
func (t *Table) Retain(keep func(source string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range slices.Clone(t.byEnd) {
		if !keep(r.account.source) {
			t.drop(r)
		}
	}
	for _, known := range []map[profile]bool{t.unauthenticated, t.ofPeers} {
		maps.DeleteFunc(known, func(p profile, _ bool) bool { return !keep(p.source) })
	}
}

// SetBanned notes whether an account is banned, as event.Fold writes it. Until its ban ends, its
// registrations are in no answer about a network.
func (t *Table) SetBanned(user, domain string, banned bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := (account{user: user, domain: domain}); banned {
		t.banned[a] = true
	} else {
		delete(t.banned, a)
	}
}

// countedAt yields the registrations of a place that count.
func (t *Table) countedAt(p *place) iter.Seq[*registration] {
	return func(yield func(*registration) bool) {
		for e := p.Front(); e != nil; e = e.Next() {
			r := e.Value.(*registration)
			if !t.banned[account{user: r.account.user, domain: r.account.domain}] && !yield(r) {
				return
			}
		}
	}
}

// counts reports whether a registration of a place counts.
func (t *Table) counts(p *place) bool {
	for range t.countedAt(p) {
		return true
	}
	return false
}

// Holds reports whether network holds an address with a registration that lives
// at now.
func (t *Table) Holds(network netip.Prefix, now time.Time) bool {
	return t.any(network, now, func(*registration) bool { return true })
}

// HasAccount reports whether the account of an event is registered in network at now. Sources may
// name its domain in different ways, so what another source reports counts if the source of the event
// knows no registration of that user there. Otherwise the account of one tenant would stand for that
// of another one with the same number.
func (t *Table) HasAccount(network netip.Prefix, ev *event.Event, now time.Time) bool {
	user, domain := event.Fold(bounded(ev.User)), event.Fold(bounded(ev.Domain))
	elsewhere, other := false, false // in another domain, at another source
	return t.any(network, now, func(r *registration) bool {
		a := r.account
		if a.user != user {
			return false
		}
		other = other || a.source != ev.From()
		elsewhere = elsewhere || a.source == ev.From()
		return a.source == ev.From() && a.domain == domain
	}) || other && !elsewhere
}

// HasPort reports whether a phone may have registered from a port of a network: it did, or the port
// of one that is registered there is not known.
func (t *Table) HasPort(network netip.Prefix, port uint16, now time.Time) bool {
	return t.any(network, now, func(r *registration) bool { return r.port == port || r.port == 0 })
}

// Shares reports whether phones of several accounts registered from one port of a network: one device
// has them.
func (t *Table) Shares(network netip.Prefix, port uint16, now time.Time) bool {
	var first account
	return port != 0 && t.any(network, now, func(r *registration) bool {
		if r.port != port {
			return false
		}
		if first == (account{}) {
			first = r.account
		}
		return r.account != first && r.account.source == first.source
	})
}

func (t *Table) any(network netip.Prefix, now time.Time, is func(*registration) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	for _, p := range t.places.Subnets(network) {
		for r := range t.countedAt(p) {
			if is(r) {
				return true
			}
		}
	}
	return false
}

// Addresses lists those in network with a registration that lives at now, in their order.
func (t *Table) Addresses(network netip.Prefix, now time.Time) (all []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	for addr, p := range t.places.Subnets(network) {
		if t.counts(p) {
			all = append(all, addr.Addr())
		}
	}
	return all
}

// Accounts names up to limit different accounts with a registration in network
// that lives at now, in the order of their addresses and of their arrival there.
// They are those of the source that knows most: sources may name one account's
// domain in different ways.
func (t *Table) Accounts(network netip.Prefix, now time.Time, limit int) (most []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	bySource := map[string][]string{}
	for _, p := range t.places.Subnets(network) {
		for r := range t.countedAt(p) {
			if len(most) >= limit {
				break
			}
			a := r.account
			names, name := bySource[a.source], Account(a.user, a.domain)
			if slices.Contains(names, name) {
				continue
			}
			names = append(names, name)
			if bySource[a.source] = names; len(names) > len(most) {
				most = names
			}
		}
	}
	return most
}

// Settled reports whether network holds an address with a registration at all times
// from since to now, as far as is known: phones on a list count as there before.
func (t *Table) Settled(network netip.Prefix, since, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	for _, p := range t.places.Subnets(network) {
		if !p.since.After(since) && t.counts(p) {
			return true
		}
	}
	return false
}

// Size is the number of registrations, and of those that were evicted for lack of room.
func (t *Table) Size() (registrations int, evicted uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byEnd), t.evicted
}
