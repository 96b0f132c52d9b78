package rule

import (
	"net/netip"
	"strconv"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// MaxEvidence bounds what a firing quotes: the event that fired and the newest
// of the matches before it.
const MaxEvidence = 100

// A Firing is a rule that has reached its threshold.
type Firing struct {
	Spec   *Spec
	Event  *event.Event // the one that did it
	Key    string       // whom it caught, for people: "203.0.113.7", "1000@pbx"; "" where nothing tells
	Reason string       // "5 in 10m, per ip 203.0.113.7"; "…, then auth_success from 203.0.113.7"
	// Orders are the bans that the rule wishes for; nil where it only alerts, or
	// where there is no address to ban.
	Orders []ban.Order
	Alert  bool
	// Evidence is at most MaxEvidence entries, oldest first, the event itself
	// last. Of the earlier ones address, user and text may no longer be kept.
	Evidence []ban.Evidence
}

// firing puts together what a rule says about an event. earlier is the other
// matches in the window, oldest first.
func (r *state) firing(ev *event.Event, earlier []counted, ring *ring) *Firing {
	f := &Firing{
		Spec: r.spec, Event: ev, Alert: r.spec.Alert != nil,
		Evidence: evidence(ev, earlier, ring),
	}
	f.Key, f.Reason = r.describe(ev, len(earlier)+1)
	if r.spec.Ban == nil {
		return f
	}
	if r.spec.Ban.All {
		f.Orders = r.ordersForAll(f, earlier, ring)
	} else if target, ok := r.spec.Ban.Network.Of(ev.IP); ok {
		f.Orders = []ban.Order{r.order(f, target, ev.IP, f.Evidence)}
	}
	return f
}

// describe says in words whom the rule caught, and for what.
func (r *state) describe(ev *event.Event, n int) (key, reason string) {
	th := r.spec.Threshold
	if th == nil {
		if !ev.IP.IsValid() {
			return "", ev.Name
		}
		key = ev.IP.String()
		return key, ev.Name + " from " + key
	}
	if th.Then != nil {
		n = th.Count // the event may be one of them, or none
	}
	what := strconv.Itoa(n)
	if th.Distinct != "" {
		what += " different values of " + th.Distinct
	}
	key = r.keyer.text(ev)
	reason = what + " in " + ban.FormatDuration(th.Within) + ", per " + th.Per.String() + " " + key
	if th.Then != nil {
		reason += ", then " + ev.Name
		if ev.IP.IsValid() {
			reason += " from " + ev.IP.String()
		}
	}
	return key, reason
}

func (r *state) order(f *Firing, target netip.Prefix, addr netip.Addr, evidence []ban.Evidence) ban.Order {
	b := r.spec.Ban
	return ban.Order{
		Target: ban.Network(target), Address: addr,
		Rule: r.spec.Name, Source: f.Event.Source, Author: ban.ByRule, Reason: f.Reason, Key: f.Key,
		At: f.Event.Time, Terms: b.Terms, Forget: b.Forget, Actions: b.Actions, Evidence: evidence,
	}
}

// ordersForAll is one order for each network that has a match in the window, in
// the order of their first matches. Each quotes its own matches, and the event
// that fired.
func (r *state) ordersForAll(f *Firing, earlier []counted, ring *ring) []ban.Order {
	type group struct {
		target  netip.Prefix
		addr    netip.Addr // of the latest match
		earlier []counted
	}
	var groups []group
	index := map[netip.Prefix]int{}
	add := func(addr netip.Addr) *group {
		target, ok := r.spec.Ban.Network.Of(addr)
		if !ok {
			return nil
		}
		i, known := index[target]
		if !known {
			i = len(groups)
			index[target] = i
			groups = append(groups, group{target: target})
		}
		groups[i].addr = addr
		return &groups[i]
	}
	for _, c := range earlier {
		if g := add(c.addr); g != nil {
			g.earlier = append(g.earlier, c)
		}
	}
	add(f.Event.IP)
	var orders []ban.Order
	for _, g := range groups {
		orders = append(orders, r.order(f, g.target, g.addr, evidence(f.Event, g.earlier, ring)))
	}
	return orders
}

// evidence looks up what is still kept of earlier matches.
func evidence(ev *event.Event, earlier []counted, ring *ring) []ban.Evidence {
	earlier = earlier[max(0, len(earlier)-(MaxEvidence-1)):]
	out := make([]ban.Evidence, 0, len(earlier)+1)
	for _, c := range earlier {
		kept, ok := ring.at(c.place)
		if !ok {
			kept.ip = c.addr
		}
		out = append(out, ban.Evidence{
			Time: time.UnixMicro(c.time).In(ev.Time.Location()), Event: c.name, Source: ev.Source,
			IP: kept.ip, User: kept.user, Domain: kept.domain, Proven: kept.proven, Text: kept.text,
		})
	}
	return append(out, ban.Evidence{
		Time: ev.Time, Event: ev.Name, Source: ev.Source, IP: ev.IP, User: ev.User, Domain: ev.Domain, Proven: ev.Proven(), Text: ev.Text,
	})
}
