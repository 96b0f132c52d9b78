package registrations

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
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
	seed []byte                             // of the hashes of accounts
	at   dedup.Cache[netip.Addr, []failure] // by host, oldest first
	base time.Duration                      // what is added to their times
}

// A failure is one report of a source.
type failure struct {
	//lint:ignore U1000 msgpack reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	Source   string
	At       time.Time
	Account  uint64 // hash; 0: not known
	Port     uint16 // of the sender; 0: not known
	Own      bool   // the account was registered at the host
	Phones   bool   // a phone had registered from the port
	Proven   bool
	Repeat   bool // a further report of one attempt
}

// NewFailures returns an empty set.
func NewFailures() *Failures {
	seed := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(seed) // it cannot fail
	return &Failures{seed: seed, at: dedup.Cache[netip.Addr, []failure]{Half: maxFailing / 2}}
}

// Learn notes a failure at a host. own says that its account is registered there, phones that a phone
// registered from its port, and proven that the host itself failed.
func (f *Failures) Learn(ev *event.Event, host netip.Prefix, own, phones, proven bool, now time.Time) {
	at := ev.Time
	if ev.Live {
		at = now
	}
	one := failure{Source: ev.Source, At: at.Add(-f.base), Port: ev.Port, Own: own, Phones: phones, Proven: proven, Repeat: ev.Repeat}
	if ev.User != "" {
		sum := sha256.Sum256(append(f.seed[:len(f.seed):len(f.seed)], event.Fold(bounded(ev.User)+"@"+bounded(ev.Domain))...))
		one.Account = max(1, binary.BigEndian.Uint64(sum[:]))
	}
	all, _ := f.at.Get(host.Addr())
	all = slices.DeleteFunc(all, func(old failure) bool { return one.At.Sub(old.At) > failureAge })
	first, n := 0, 0
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Source == one.Source && all[i].Proven == proven {
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
		if age := now.Sub(one.At) - f.base; !one.Own && !one.Repeat && age < failureAge {
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
		if t.proven == one.Proven && t.source == one.Source {
			return t
		}
	}
	t := &tally{source: one.Source, proven: one.Proven}
	*all = append(*all, t)
	return t
}

func (t *tally) add(one *failure, lastHour bool) {
	t.Day++
	if lastHour {
		t.Hour++
		t.times = append(t.times, one.At)
		for one.At.Sub(t.times[t.first]) >= burst {
			t.first++
		}
		t.Burst = max(t.Burst, len(t.times)-t.first)
	}
	known := slices.Contains(t.ports, one.Port)
	if !known {
		t.ports = append(t.ports, one.Port)
	}
	if !known || one.Port == 0 || one.Phones {
		t.Ports++
	}
	if !slices.Contains(t.accounts, one.Account) {
		t.accounts = append(t.accounts, one.Account)
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
		if one.Proven && !one.Repeat && !one.At.Add(f.base).Before(since) {
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
		if now.Sub(one.At)-f.base > time.Hour || one.Account == 0 || onlyProven && !one.Proven || !from(one.Port) || slices.Contains(counts[one.Source], one.Account) {
			continue
		}
		counts[one.Source] = append(counts[one.Source], one.Account)
		most = max(most, len(counts[one.Source]))
	}
	return most
}
