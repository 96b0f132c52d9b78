package registrations

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
)

// FailureEvents are the names of the events which say that an account failed. A
// challenge and an abandoned call are not among them: one packet with a forged sender
// can name any account in one.
var FailureEvents = []string{event.AuthFailure, event.UnknownUser, event.VertoLoginFailure}

const (
	failureAge = time.Hour // how long a failure is remembered

	maxFailing = 50_000 // addresses with failures
	maxFailed  = 64     // accounts at one address, for each source
)

// Failures holds which accounts failed at an address lately. It outlives the evidence
// of a rule, which an attacker can push out with other events. It is not safe for
// concurrent use.
type Failures struct {
	NAT64 ban.NAT64 // of the site

	seed maphash.Seed
	at   dedup.Cache[netip.Addr, []failure] // by host, the latest failure last
	base time.Duration                      // what is added to their times
}

// A failure is the latest one of an account at a host, as one source reports it.
type failure struct {
	source  string
	account uint64 // hash
	at      time.Time
}

// NewFailures returns an empty set.
func NewFailures() *Failures {
	return &Failures{seed: maphash.MakeSeed(), at: dedup.Cache[netip.Addr, []failure]{Half: maxFailing / 2}}
}

// Learn takes an event, and ignores those that are not of FailureEvents or name no
// account.
func (f *Failures) Learn(ev *event.Event) {
	if ev.User == "" || !ev.IP.IsValid() || !slices.Contains(FailureEvents, ev.Name) {
		return
	}
	ip, at := f.NAT64.Host(ev.IP).Addr(), ev.Time.Add(-f.base)
	all, _ := f.at.Get(ip)
	account := maphash.String(f.seed, event.Fold(bounded(ev.User)+"@"+bounded(ev.Domain)))
	all = slices.DeleteFunc(all, func(one failure) bool {
		return one.source == ev.Source && one.account == account || at.Sub(one.at) > failureAge
	})
	first, n := 0, 0
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].source == ev.Source {
			first, n = i, n+1
		}
	}
	if n == maxFailed {
		all = slices.Delete(all, first, first+1)
	}
	f.at.Put(ip, append(all, failure{ev.Source, account, at}))
}

// Step moves all times by a step of the host's clock.
func (f *Failures) Step(by time.Duration) { f.base += by }

// Count is how many accounts failed at the host of a network in the hour before now, according
// to the source that reports most. Two sources report one attempt, and may name the domain of its
// account in different ways.
func (f *Failures) Count(network netip.Prefix, now time.Time) (most int) {
	all, _ := f.at.Get(f.NAT64.Host(network.Addr()).Addr())
	counts := map[string]int{}
	for _, one := range all {
		if now.Sub(one.at)-f.base <= failureAge {
			counts[one.source]++
			most = max(most, counts[one.source])
		}
	}
	return most
}
