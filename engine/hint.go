package engine

import (
	"net/netip"
	"time"

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

	// maxChallenged bounds the addresses in each of two generations.
	maxChallenged = 100_000

	hint = "; never challenged: the sender may be forged"
)

// challenges holds the addresses that were challenged lately, in two generations.
type challenges struct {
	since     map[string]time.Time // by source: its first challenge
	now, then map[netip.Addr]struct{}
	turned    time.Time
}

func newChallenges() challenges {
	return challenges{since: map[string]time.Time{}, now: map[netip.Addr]struct{}{}}
}

// see notes a challenge.
func (c *challenges) see(ev *event.Event) {
	if ev.Name != event.Challenge || !ev.IP.IsValid() {
		return
	}
	if c.since[ev.Source].IsZero() {
		c.since[ev.Source] = ev.Time
	}
	if ev.Time.Sub(c.turned) > nonceLives || len(c.now) >= maxChallenged {
		if ev.Time.Sub(c.turned) > 2*nonceLives {
			c.now = map[netip.Addr]struct{}{}
		}
		c.now, c.then, c.turned = map[netip.Addr]struct{}{}, c.now, ev.Time
	}
	c.now[ev.IP] = struct{}{}
}

// forged reports whether a firing rests on failures of an address that was never challenged,
// according to a source that reports challenges.
func (c *challenges) forged(f *rule.Firing) bool {
	since := c.since[f.Event.Source]
	if f.Event.Name != event.AuthFailure || since.IsZero() || f.Event.Time.Sub(since) < nonceLives {
		return false
	}
	for _, e := range f.Evidence {
		_, now := c.now[e.IP]
		_, then := c.then[e.IP]
		if now || then || e.Event == event.Challenge {
			return false
		}
	}
	return true
}
