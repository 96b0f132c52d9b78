package accounts

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
	"time"
	"unique"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// Bounds.
const (
	maxAccounts     = 20_000
	maxNetworks     = 8  // of one account
	maxDestinations = 64 // likewise
)

// Times in seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour

	memory     = 90 * day // what was not seen for as long is forgotten
	newFor     = hour     // how long a network is new
	newNumbers = day      // how long a destination is new: a thief goes on all night
	settled    = day      // an account is at home where it was first seen as long ago
	guessedFor = day      // how long an account counts as guessed

	// together bounds the distance of two sources' reports of one login or call.
	together = minute
)

// An account that was in new networks on roamingDays of the 15 days before today has no home.
const roamingDays = 4

// Fields are the names of the fields that a Table sets.
var Fields = []string{"new_network", "new_destination", "guessed", "history_days"}

// Events are the names of the events that a Table learns from.
var Events = append([]string{event.AuthSuccess, event.Registered, event.Call}, failures...)

// A Table holds the history of accounts. It is not safe for concurrent use.
type Table struct {
	accounts map[string]*account // by folded name
	limit    int                 // maxAccounts, except in tests
	since    int64               // of the first account's first event; 0: there is none
	base     int64               // what is added to all times, in seconds
	nat64    ban.NAT64           // of the site
	failing  failing
}

// An account is what is known of one account. Times are seconds since 1970, without the base.
type account struct {
	first, last  int64
	networks     sightings[netip.Prefix]
	destinations sightings[destination]
	guessed      int64  // when its password may have been guessed; 0: never
	moved        uint16 // bit n: it was in a new network n days before day
	day          int64  // since 1970
}

// A destination is a country and a type of number, "DE mobile", in 8 bytes.
type destination = unique.Handle[string]

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{accounts: map[string]*account{}, limit: maxAccounts, failing: newFailing()}
}

// SetNAT64 sets the site's prefixes for the networks of later events.
func (t *Table) SetNAT64(nat64 ban.NAT64) { t.nat64 = nat64 }

// Step moves all times by a step of the host's clock.
func (t *Table) Step(by time.Duration) { t.base += int64(by / time.Second) }

// Size is the number of accounts.
func (t *Table) Size() int { return len(t.accounts) }

// Learn sets the fields of an event and notes it. onlyProven says that a failure whose sender may be
// forged does not count.
func (t *Table) Learn(ev *event.Event, onlyProven bool, now time.Time) {
	switch {
	case ev.User == "":
	case ev.Verified():
		name, at := nameOf(ev), t.seconds(ev, now)
		a := t.known(name, at)
		t.fill(ev, a, at)
		t.note(ev, name, a, at)
	case slices.Contains(failures, ev.Name) && (ev.Proven || !onlyProven):
		t.fail(ev, t.seconds(ev, now))
	}
}

// Fill sets the fields of an event, and notes nothing. An event of which the switch verified no
// password has none: its sender chose the account.
func (t *Table) Fill(ev *event.Event, now time.Time) {
	if ev.User != "" && ev.Verified() {
		at := t.seconds(ev, now)
		t.fill(ev, t.known(nameOf(ev), at), at)
	}
}

func (t *Table) fill(ev *event.Event, a *account, at int64) {
	if t.since != 0 {
		ev.HistoryDays = uint16(max(0, at-t.since) / day)
	}
	if network, ok := t.network(ev.IP); ok {
		first := a.networks.first(network, at)
		ev.NewNetwork = at-first < newFor && a.hasHome(network, at) && !a.roams(at)
		ev.Guessed = a.isGuessed(at) && first >= a.guessed-together || t.isGuess(ev, first, at)
	}
	if to, ok := destinationOf(ev); ok {
		ev.NewDestination = at-a.destinations.first(to, at) < newNumbers
	}
}

// known returns the account of a name; an empty one if it is not known, or was not seen for too long.
func (t *Table) known(name string, at int64) *account {
	if a := t.accounts[name]; a != nil && at-a.last <= memory {
		return a
	}
	return &account{first: at, last: at}
}

// note adds an event to the history of its account.
func (t *Table) note(ev *event.Event, name string, a *account, at int64) {
	if network, ok := t.network(ev.IP); ok {
		if !a.isGuessed(at) && t.isGuess(ev, a.networks.first(network, at), at) {
			a.guessed = at
		}
		if moves := len(a.networks) > 0; a.networks.note(network, at, maxNetworks) && moves {
			a.move(at)
		}
	}
	if to, ok := destinationOf(ev); ok {
		a.destinations.note(to, at, maxDestinations)
	}
	a.first, a.last = min(a.first, at), max(a.last, at)
	if t.since == 0 || at < t.since {
		t.since = at
	}
	if t.accounts[name] == nil && len(t.accounts) >= t.limit {
		t.thin(at)
	}
	t.accounts[name] = a
}

// thin drops the accounts that were not seen for too long, and of the others a tenth, so that it is
// rare.
func (t *Table) thin(at int64) {
	type named struct {
		name       string
		span, last int64
	}
	all := make([]named, 0, len(t.accounts))
	for name, a := range t.accounts {
		all = append(all, named{name, a.last - a.first, a.last})
	}
	slices.SortFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.span, b.span), cmp.Compare(a.last, b.last), cmp.Compare(a.name, b.name))
	})
	for i, one := range all {
		if i <= len(all)/10 || at-one.last > memory {
			delete(t.accounts, one.name)
		}
	}
}

// hasHome reports whether the account is at home in another network than one.
func (a *account) hasHome(other netip.Prefix, at int64) bool {
	return slices.ContainsFunc(a.networks, func(n sighting[netip.Prefix]) bool {
		return n.key != other && at-n.first >= settled && at-n.last <= memory
	})
}

// move notes that the account is in a new network. Of the days before, each counts once.
func (a *account) move(at int64) {
	a.moved, a.day = a.since(at)|1, max(a.day, at/day)
}

// roams reports whether the account is in new networks all the time, as a mobile phone is. What it
// did today does not count: a thief moves as well.
func (a *account) roams(at int64) bool { return bits.OnesCount16(a.since(at)&^1) >= roamingDays }

// since returns moved as of at.
func (a *account) since(at int64) uint16 { return a.moved << max(0, at/day-a.day) }

func (a *account) isGuessed(at int64) bool { return a.guessed != 0 && at-a.guessed <= guessedFor }

// network returns the network of an address: an IPv4 /24 or IPv6 /48.
func (t *Table) network(ip netip.Addr) (network netip.Prefix, ok bool) {
	if !ip.IsValid() {
		return network, false
	}
	return t.nat64.Around(ip, 24, 48), true
}

// destinationOf returns where a call goes, if that is known.
func destinationOf(ev *event.Event) (to destination, ok bool) {
	if ev.Name != event.Call && ev.Name != event.CallAnswered || ev.DestinationCountry == "" {
		return to, false
	}
	return unique.Make(ev.DestinationCountry + " " + ev.DestinationType), true
}

// nameOf returns the name of an event's account, equal for all its spellings.
//
// Trap: a caller chooses the To header of its registration, and the realm of its credentials where a
// profile forces the domain of all accounts. What the switch found in its directory counts, where it
// reports that.
func nameOf(ev *event.Event) string {
	return fold(cmp.Or(ev.Fields["sip_auth_username"], ev.User)) + "@" + fold(cmp.Or(ev.Fields["domain_name"], ev.Domain))
}

// fold bounds and folds the name of a user or a domain.
func fold(name string) string { return event.Fold(name[:min(len(name), event.MaxField)]) }

func (t *Table) seconds(ev *event.Event, now time.Time) int64 {
	at := ev.Time
	if ev.Live {
		at = now
	}
	return at.Unix() - t.base
}
