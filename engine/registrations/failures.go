package registrations

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
)

// FailureEvents are the names of the events which say that an account failed. A
// challenge and an abandoned call are not among them: one packet with a forged sender
// can name any account in one.
var FailureEvents = []string{event.AuthFailure, event.UnknownUser, event.VertoLoginFailure}

const (
	failureAge = 24 * time.Hour // how long a failure is remembered

	burst = 5 * time.Minute // see Count

	maxFailing = 10_000 // hosts with failures

	// maxFailures bounds the failures of one host, for each source those that are proven and
	// those that are not: the latter must not push out the former.
	maxFailures = 256
)

// Failures holds who failed lately at protected hosts, as each source reports it. It outlives the
// evidence of a rule, which an attacker can push out with other events. It is not safe for
// concurrent use.
type Failures struct {
	seed maphash.Seed
	at   dedup.Cache[netip.Addr, []failure] // by host, oldest first
	base time.Duration                      // what is added to their times
}

// A failure is one report of a source.
type failure struct {
	source  string
	at      time.Time
	account uint64 // hash; 0: not known
	port    uint16 // of the sender; 0: not known
	own     bool   // the account was registered at the host
	phones  bool   // a phone had registered from the port
	proven  bool
	repeat  bool // a further report of one attempt
}

// NewFailures returns an empty set.
func NewFailures() *Failures {
	return &Failures{seed: maphash.MakeSeed(), at: dedup.Cache[netip.Addr, []failure]{Half: maxFailing / 2}}
}

// Learn notes a failure at a host. own says that its account is registered there, phones that a phone
// registered from its port, and proven that the host itself failed.
func (f *Failures) Learn(ev *event.Event, host netip.Prefix, own, phones, proven bool, now time.Time) {
	at := ev.Time
	if ev.Live {
		at = now
	}
	one := failure{source: ev.Source, at: at.Add(-f.base), port: ev.Port, own: own, phones: phones, proven: proven, repeat: ev.Repeat}
	if ev.User != "" {
		one.account = max(1, maphash.String(f.seed, event.Fold(bounded(ev.User)+"@"+bounded(ev.Domain))))
	}
	all, _ := f.at.Get(host.Addr())
	all = slices.DeleteFunc(all, func(old failure) bool { return one.at.Sub(old.at) > failureAge })
	first, n := 0, 0
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].source == one.source && all[i].proven == proven {
			first, n = i, n+1
		}
	}
	if n >= maxFailures {
		all = slices.Delete(all, first, first+1)
	}
	f.at.Put(host.Addr(), append(all, one))
}

// Step moves all times by a step of the host's clock.
func (f *Failures) Step(by time.Duration) { f.base += by }

// A Count is how often a host failed at accounts that were not registered there, according to the
// source that reports most. Two sources report one attempt, and may name the domain of its account in
// different ways.
type Count struct {
	Hour, Day int // failures
	Burst     int // in five minutes of the last hour, the most
	Accounts  int // that failed in the last day
	Ports     int // of the last day's failures; those without one, or from that of a phone, each count
}

// Count counts the failures of a host that are proven, and those that may be of a forged sender. Of
// the latter, those are left out that a source which proves has reported as well: it counted them
// where they came from.
func (f *Failures) Count(host netip.Prefix, proves func(source string) bool, now time.Time) (proven, unproven Count) {
	all, _ := f.at.Get(host.Addr())
	var tallies []*tally
	for i := range all {
		one := &all[i]
		if age := now.Sub(one.at) - f.base; !one.own && !one.repeat && age < failureAge {
			tallyOf(&tallies, one).add(one, age < time.Hour)
		}
	}
	var reported, logins Count
	for _, t := range tallies {
		switch {
		case proves(t.source) && t.proven:
			proven = proven.max(t.Count)
		case proves(t.source): // see below
		case t.proven:
			logins = logins.max(t.Count)
		default:
			unproven = unproven.max(t.Count)
		}
		if proves(t.source) {
			reported = reported.max(ofSource(tallies, t.source))
		}
	}
	unproven.Hour, unproven.Day = max(0, unproven.Hour-reported.Hour), max(0, unproven.Day-reported.Day)
	return proven.Plus(logins), unproven // what the stream proves are no SIP requests
}

// A tally counts what one source reports of a host: what is proven, or what is not.
type tally struct {
	source string
	proven bool
	Count

	times    []time.Time // of the last hour
	first    int         // of times: in the last five minutes
	ports    []uint16
	accounts []uint64
}

// tallyOf returns the tally of a failure. They are few.
func tallyOf(all *[]*tally, one *failure) *tally {
	for _, t := range *all {
		if t.proven == one.proven && t.source == one.source {
			return t
		}
	}
	t := &tally{source: one.source, proven: one.proven}
	*all = append(*all, t)
	return t
}

func (t *tally) add(one *failure, lastHour bool) {
	t.Day++
	if lastHour {
		t.Hour++
		t.times = append(t.times, one.at)
		for one.at.Sub(t.times[t.first]) >= burst {
			t.first++
		}
		t.Burst = max(t.Burst, len(t.times)-t.first)
	}
	known := slices.Contains(t.ports, one.port)
	if !known {
		t.ports = append(t.ports, one.port)
	}
	if !known || one.port == 0 || one.phones {
		t.Ports++
	}
	if !slices.Contains(t.accounts, one.account) {
		t.accounts = append(t.accounts, one.account)
		t.Accounts++
	}
}

// ofSource returns all failures that a source reports.
func ofSource(all []*tally, source string) (c Count) {
	for _, t := range all {
		if t.source == source {
			c.Hour, c.Day = c.Hour+t.Hour, c.Day+t.Day
		}
	}
	return c
}

// Plus adds the failures of another count.
func (c Count) Plus(d Count) Count {
	return Count{c.Hour + d.Hour, c.Day + d.Day, c.Burst + d.Burst, max(c.Accounts, d.Accounts), max(c.Ports, d.Ports)}
}

func (c Count) max(d Count) Count {
	return Count{max(c.Hour, d.Hour), max(c.Day, d.Day), max(c.Burst, d.Burst), max(c.Accounts, d.Accounts), max(c.Ports, d.Ports)}
}

// Proven is how many failures of a host were proven from since on, own accounts included.
func (f *Failures) Proven(host netip.Prefix, since time.Time) (n int) {
	all, _ := f.at.Get(host.Addr())
	for _, one := range all {
		if one.proven && !one.repeat && !one.at.Add(f.base).Before(since) {
			n++
		}
	}
	return n
}

// Accounts is how many accounts failed at a host in the hour before now, from ports for which from
// is true, according to the source that reports most. A port of 0 is not known.
func (f *Failures) Accounts(host netip.Prefix, onlyProven bool, from func(port uint16) bool, now time.Time) (most int) {
	all, _ := f.at.Get(host.Addr())
	counts := map[string][]uint64{}
	for _, one := range all {
		if now.Sub(one.at)-f.base > time.Hour || one.account == 0 || onlyProven && !one.proven || !from(one.port) || slices.Contains(counts[one.source], one.account) {
			continue
		}
		counts[one.source] = append(counts[one.source], one.account)
		most = max(most, len(counts[one.source]))
	}
	return most
}
