package known

import (
	"container/heap"
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
	// maxRegistrations bounds all of them together. Beyond it the one goes whose
	// time is over first: among phones alike, the one unheard of for the longest.
	maxRegistrations = 100_000

	// maxPerAccount bounds those of one account, so that whoever has the password
	// of one cannot push out the others.
	maxPerAccount = 100

	grace         = time.Minute        // a phone that renews late is still there
	unsaid        = time.Hour          // the life of a registration that tells none
	longestExpiry = 7 * 24 * time.Hour // what is longer is more likely a mistake
)

// RegistrationEvents are the names of the events that Registrations learns from.
var RegistrationEvents = []string{event.Registered, event.Unregistered}

// Registrations is which accounts are registered, and at which addresses. It is safe
// for use by several goroutines.
type Registrations struct {
	mu       sync.Mutex                  // guards what follows
	accounts map[account][]*registration // oldest first
	blind    map[profile]bool            // those that register without a password, too
	places   bart.Table[*place]          // by address
	lives    lives
	limit    int // maxRegistrations, but in tests
	evicted  uint64
}

// An account is one that a source reports about.
type account struct{ source, user, domain string }

// A profile is one part of a switch, with access rules of its own.
type profile struct{ source, name string }

// maxBlind bounds the profiles that are remembered as blind. With so many of them
// every profile counts as blind.
const maxBlind = 1000

// A registration is one phone of an account, at the address that it was last
// seen at.
type registration struct {
	account account
	profile profile
	hearsay bool // known from a list alone
	callID  string
	contact string
	addr    netip.Addr
	until   time.Time
	index   int // in lives

	prev, next *registration // at the same address
}

// NewRegistrations returns an empty set.
func NewRegistrations() *Registrations {
	return &Registrations{accounts: map[account][]*registration{}, blind: map[profile]bool{}, limit: maxRegistrations}
}

// Learn takes in an event, and ignores those that are not of RegistrationEvents.
//
// A registration whose sender was not made to authenticate protects nobody:
// anybody could have sent it. A list of registrations (Repeat) may not tell who
// was; it is believed as long as its profile has not been seen to register anybody
// without, and from then on only where it confirms what is known.
func (r *Registrations) Learn(ev *event.Event, now time.Time) {
	if ev.Name != event.Registered && ev.Name != event.Unregistered || ev.User == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	// The switch finds an account in any spelling of it, and the caller chooses one:
	// each must not count as another account.
	a := account{source: ev.Source, user: bounded(strings.ToLower(ev.User)), domain: bounded(strings.ToLower(ev.Domain))}
	switch {
	case ev.Name == event.Unregistered:
		r.unregister(a, ev)
	case ev.Fields["authenticated"] == "false":
		r.seeBlind(profileOf(ev))
	case ev.IP.IsValid():
		r.register(a, ev, now)
	}
}

func profileOf(ev *event.Event) profile { return profile{ev.Source, bounded(ev.Profile)} }

// seeBlind notes that a profile registers without a password, and forgets what is
// known of it from lists alone.
func (r *Registrations) seeBlind(p profile) {
	if r.isBlind(p) {
		return
	}
	r.blind[profile{p.source, strings.Clone(p.name)}] = true
	for _, one := range slices.Clone(r.lives) {
		if one.hearsay && r.isBlind(one.profile) {
			r.drop(one)
		}
	}
}

func (r *Registrations) isBlind(p profile) bool { return r.blind[p] || len(r.blind) >= maxBlind }

// register notes that a phone has registered, or has done so again.
func (r *Registrations) register(a account, ev *event.Event, now time.Time) {
	until := ev.Time.Add(lifetime(ev)).Add(grace)
	if !until.After(now) {
		return // news from long ago
	}
	same := r.same(a, ev)
	hearsay := ev.Repeat && ev.Fields["authenticated"] != "true"
	if hearsay && r.isBlind(profileOf(ev)) && (len(same) == 0 || same[0].addr != ev.IP) {
		return
	}
	if len(same) == 0 {
		r.add(a, ev, until, hearsay, now)
		return
	}
	for _, double := range same[1:] {
		r.drop(double)
	}
	known := same[0]
	if ev.Repeat && until.Before(known.until) {
		until = known.until // the switch's list was drawn up before the phone renewed
	}
	known.until, known.hearsay = until, known.hearsay && hearsay
	heap.Fix(&r.lives, known.index)
	if known.addr != ev.IP {
		r.leave(known)
		known.addr = ev.IP
		r.arrive(known, since(ev, now))
	}
}

// since is from when on a phone is at the address that an event names. A list tells
// of those who were there before, nobody knows for how long.
func since(ev *event.Event, now time.Time) time.Time {
	if ev.Repeat {
		return time.Time{}
	}
	return now
}

// lifetime is how long a registration lasts from the event on.
func lifetime(ev *event.Event) time.Duration {
	seconds, err := strconv.ParseInt(ev.Fields["expires"], 10, 64)
	if err != nil {
		return unsaid
	}
	longest := int64(longestExpiry / time.Second)
	return time.Duration(max(0, min(seconds, longest))) * time.Second
}

// same finds the registrations that an event is about. A phone keeps its Call-ID
// as long as it runs, and its contact when it starts anew. The contact alone may be
// that of another phone of the account, in another house with the same private
// network, unless the addresses agree.
func (r *Registrations) same(a account, ev *event.Event) []*registration {
	callID, contact := bounded(ev.CallID), bounded(ev.Fields["contact"])
	var found []*registration
	for _, one := range r.accounts[a] {
		switch {
		case callID != "" && one.callID == callID:
			found = append(found, one)
		case contact != "" && one.contact == contact && (!ev.IP.IsValid() || one.addr == ev.IP):
			found = append(found, one)
		}
	}
	return found
}

// unregister takes off what an event is about: where it names no phone, all
// phones of the account, or those at its address.
func (r *Registrations) unregister(a account, ev *event.Event) {
	gone := r.same(a, ev)
	if ev.CallID == "" && ev.Fields["contact"] == "" {
		for _, one := range r.accounts[a] {
			if !ev.IP.IsValid() || one.addr == ev.IP {
				gone = append(gone, one)
			}
		}
	}
	for _, one := range gone {
		r.drop(one)
	}
}

func (r *Registrations) add(a account, ev *event.Event, until time.Time, hearsay bool, now time.Time) {
	if all := r.accounts[a]; len(all) >= maxPerAccount {
		r.evict(slices.MinFunc(all, func(a, b *registration) int { return a.until.Compare(b.until) }))
	}
	if len(r.lives) >= r.limit {
		r.evict(r.lives[0])
	}
	a = r.lasting(a)
	one := &registration{
		account: a, addr: ev.IP, until: until, hearsay: hearsay,
		profile: profile{ev.Source, event.Bound(ev.Profile, event.MaxField)},
		callID:  event.Bound(ev.CallID, event.MaxField), contact: event.Bound(ev.Fields["contact"], event.MaxField),
	}
	r.accounts[a] = append(r.accounts[a], one)
	heap.Push(&r.lives, one)
	r.arrive(one, since(ev, now))
}

// lasting is an account that holds on to nothing of the event that it was told by.
func (r *Registrations) lasting(a account) account {
	if all := r.accounts[a]; len(all) > 0 {
		return all[0].account
	}
	a.user, a.domain = strings.Clone(a.user), strings.Clone(a.domain)
	return a
}

func (r *Registrations) evict(one *registration) {
	r.evicted++
	r.drop(one)
}

// drop forgets a registration.
func (r *Registrations) drop(one *registration) {
	all := r.accounts[one.account]
	i := slices.Index(all, one)
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(r.accounts, one.account)
	} else {
		r.accounts[one.account] = all
	}
	heap.Remove(&r.lives, one.index)
	r.leave(one)
}

// advance forgets the registrations that are over at now.
func (r *Registrations) advance(now time.Time) {
	for len(r.lives) > 0 && !r.lives[0].until.After(now) {
		r.drop(r.lives[0])
	}
}

// Retain forgets what was told by sources for which keep is false.
func (r *Registrations) Retain(keep func(source string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var gone []*registration
	for a, all := range r.accounts {
		if !keep(a.source) {
			gone = append(gone, all...)
		}
	}
	for _, one := range gone {
		r.drop(one)
	}
	maps.DeleteFunc(r.blind, func(p profile, _ bool) bool { return !keep(p.source) })
}

// Holds reports whether network holds an address with a registration that lives
// at now.
func (r *Registrations) Holds(network netip.Prefix, now time.Time) bool {
	return len(r.Accounts(network, now, 1)) > 0
}

// Accounts names up to limit different accounts with a registration in network
// that lives at now, in the order of their addresses, and at one address in the
// order in which they came there.
func (r *Registrations) Accounts(network netip.Prefix, now time.Time, limit int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	var names []string
	for _, p := range r.places.Subnets(network) {
		for one := p.first; one != nil; one = one.next {
			name := Account(one.account.user, one.account.domain)
			if slices.Contains(names, name) {
				continue
			}
			if names = append(names, name); len(names) == limit {
				return names
			}
		}
	}
	return names
}

// Settled reports whether network holds an address at which somebody has been
// registered at all times from since to now, as far as was heard: whom a list names
// was there before.
func (r *Registrations) Settled(network netip.Prefix, since, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	for _, p := range r.places.Subnets(network) {
		if !p.since.After(since) {
			return true
		}
	}
	return false
}

// Size is the number of registrations.
func (r *Registrations) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lives)
}

// Evicted counts the registrations that had to give way before they were over.
func (r *Registrations) Evicted() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.evicted
}
