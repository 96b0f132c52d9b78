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
	counts := map[string]*[2]Count{} // of what is not proven, and of what is
	seen, latest := map[failure]bool{}, map[failure][]time.Time{}
	for _, one := range all {
		age := now.Sub(one.at) - f.base
		if one.own || one.repeat || age >= failureAge {
			continue
		}
		if counts[one.source] == nil {
			counts[one.source] = &[2]Count{}
		}
		c := &counts[one.source][0]
		if one.proven {
			c = &counts[one.source][1]
		}
		c.Day++
		key := failure{source: one.source, proven: one.proven}
		if age < time.Hour {
			c.Hour++
			latest[key] = append(slices.DeleteFunc(latest[key], func(at time.Time) bool { return one.at.Sub(at) >= burst }), one.at)
			c.Burst = max(c.Burst, len(latest[key]))
		}
		if key.port = one.port; key.port == 0 || one.phones || !seen[key] {
			c.Ports++
		}
		seen[key] = true
		if key = (failure{source: one.source, proven: one.proven, own: true, account: one.account}); !seen[key] {
			seen[key] = true
			c.Accounts++
		}
	}
	var reported, logins Count
	for source, c := range counts {
		if proves(source) {
			proven = proven.max(c[1])
			reported = reported.max(Count{Hour: c[0].Hour + c[1].Hour, Day: c[0].Day + c[1].Day})
		} else {
			unproven, logins = unproven.max(c[0]), logins.max(c[1])
		}
	}
	unproven.Hour, unproven.Day = max(0, unproven.Hour-reported.Hour), max(0, unproven.Day-reported.Day)
	return proven.Plus(logins), unproven // what the stream proves are no SIP requests
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
