package engine

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// FreeSWITCH checks a password only against a challenge that it has sent, but does
// not look whether it sent it to the same address: whoever can forge the sender of a
// UDP packet takes a challenge himself and has another fail with it. So an address
// that fails and was never challenged is likely a victim. It is only a hint: the
// answer to it is trust, or protect, and a person has to give it.

const (
	// nonceLives is for how long FreeSWITCH takes answers to a challenge, with time to
	// spare.
	nonceLives = 5 * time.Minute

	// maxChallenged bounds the addresses that are remembered, in each of two
	// generations.
	maxChallenged = 100_000

	hint = "; never challenged: somebody else may have forged this sender"
)

// challenges remembers who was challenged lately: since the last turn, and since the
// one before.
type challenges struct {
	since     map[string]time.Time // by source: its first challenge
	now, then map[netip.Addr]struct{}
	turned    time.Time
}

func newChallenges() challenges {
	return challenges{since: map[string]time.Time{}, now: map[netip.Addr]struct{}{}}
}

// see takes in an event.
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

// forged reports whether a firing rests on failures of an address that its source,
// which tells of challenges, never told to have been challenged.
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
