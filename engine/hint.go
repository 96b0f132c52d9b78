package engine

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// FreeSWITCH checks a password only against a challenge that it has sent, but not
// whether it sent it to the same address. An attacker who forges the sender of UDP
// packets takes a challenge itself and makes another address fail with it. So an address
// that fails and was never challenged is likely a victim. It is only a hint: an operator
// has to answer it with trust or protect.

const (
	// nonceLives is the time for which FreeSWITCH accepts answers to a challenge, and more.
	nonceLives = 5 * time.Minute

	// maxChallenged bounds the addresses that were challenged.
	maxChallenged = 200_000

	hint = "; never challenged: the sender may be forged"
)

// challenges holds the addresses that were challenged lately.
type challenges struct {
	since map[string]time.Time // by source: its first challenge
	last  dedup.Cache[netip.Addr, time.Time]
}

func newChallenges() challenges {
	return challenges{since: map[string]time.Time{}, last: dedup.Cache[netip.Addr, time.Time]{Half: maxChallenged / 2}}
}

// see notes a challenge.
func (c *challenges) see(ev *event.Event) {
	if ev.Name != event.Challenge || !ev.IP.IsValid() {
		return
	}
	if c.since[ev.Source].IsZero() {
		c.since[ev.Source] = ev.Time
	}
	c.last.Put(ev.IP, ev.Time)
}

// forged reports whether a firing rests on failures of an address that was never challenged,
// according to a source that reports challenges.
func (c *challenges) forged(f *rule.Firing) bool {
	since := c.since[f.Event.Source]
	if f.Event.Name != event.AuthFailure || since.IsZero() || f.Event.Time.Sub(since) < nonceLives {
		return false
	}
	for _, e := range f.Evidence {
		last, known := c.last.Get(e.IP)
		if e.Event == event.Challenge || known && f.Event.Time.Sub(last) <= 2*nonceLives {
			return false
		}
	}
	return true
}
