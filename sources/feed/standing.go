package feed

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// standing is what is listed, as far as the feed knows: each target with its entry
// and with when its ban was last ordered. It belongs to one goroutine.
type standing struct {
	*config
	listed   map[netip.Prefix]*held
	complete bool // a whole list was taken: its size is worth comparing with
}

// held is one target that is listed.
type held struct {
	entry   entry
	until   time.Time // the end of the ban that was last ordered
	due     time.Time // from then on it is worth ordering another one
	refused bool      // the ledger would not have the last one, or perhaps not
}

// shortest is how long a ban must last to be ordered at all.
const shortest = time.Second

// smallChange is how many entries a list may gain or lose however short it is: of
// forty addresses, twenty come and go every day.
const smallChange = 100

// A plan is what an answer changes, before it is carried out.
type plan struct {
	kind     answerKind
	listing  plugin.Listing
	ordered  map[netip.Prefix]*held // how the ordered targets stand if it is carried out
	dropped  []netip.Prefix         // targets that are listed no longer, or whose time is over
	renewals int                    // orders about targets that were listed before
}

// plan says what is to be done about an answer that came at the time now. It fails
// where the answer is not to be believed; then nothing is to be done.
func (s *standing) plan(a answer, now time.Time) (*plan, error) {
	p := &plan{kind: a.kind, listing: plugin.Listing{Author: s.author()}, ordered: map[netip.Prefix]*held{}}
	switch a.kind {
	case nothing:
		return p, nil
	case same:
		s.renew(p, nil, now)
	default:
		if err := s.believable(a, now); err != nil {
			return nil, err
		}
		for i := range a.list.entries {
			s.order(p, &a.list.entries[i], now)
		}
		switch a.kind {
		case whole:
			s.dropUnlisted(p, a.list, now)
		case more:
			s.renew(p, a.list, now)
		}
	}
	p.sort()
	return p, nil
}

// renew orders anew what is listed still and is not on l, where it is due.
func (s *standing) renew(p *plan, l *list, now time.Time) {
	for target, h := range s.listed {
		if l != nil {
			if _, known := l.targets[target]; known {
				continue
			}
		}
		s.order(p, &h.entry, now)
		if !h.until.After(now) && p.ordered[target] == nil {
			p.dropped = append(p.dropped, target)
		}
	}
}

// order adds the order for an entry that is listed now, where one is due.
func (s *standing) order(p *plan, e *entry, now time.Time) {
	end := e.end(now, s.config)
	term := end.Sub(now)
	if term < shortest {
		return
	}
	if h := s.listed[e.target]; h != nil {
		// A list that tells how much is left of a term is some seconds old: what
		// would grow by so little is the ban that stands.
		grown := end.Sub(h.until) >= term/20
		if now.Before(h.due) || h.until.After(now) && !grown && !h.refused {
			return
		}
		p.renewals++
	}
	p.ordered[e.target] = &held{entry: *e, until: end, due: now.Add(s.fresh(term))}
	p.listing.Orders = append(p.listing.Orders, s.orderFor(e, now, end))
}

// fresh is for how long a ban of this term needs no other: half of it, but never
// so long that one failed look at the list could let it end.
func (s *standing) fresh(term time.Duration) time.Duration {
	return max(0, min(term/2, term-2*s.interval-s.interval/2))
}

// orderFor words the order.
func (s *standing) orderFor(e *entry, now, end time.Time) ban.Order {
	o := ban.Order{
		Target: ban.Network(e.target), Source: s.name, Author: s.author(), Reason: cmp.Or(e.reason, s.reason, "listed"),
		At: now, Terms: []ban.Term{ban.Term(end.Sub(now))},
	}
	if e.target.IsSingleIP() {
		// Of a network no one address was caught, so there is none to fall back on
		// where somebody in it is trusted.
		o.Address = e.target.Addr()
	}
	return o
}

// dropUnlisted finds what a whole list names no longer.
func (s *standing) dropUnlisted(p *plan, l *list, now time.Time) {
	for target, h := range s.listed {
		if _, listed := l.targets[target]; listed && (h.until.After(now) || p.ordered[target] != nil) {
			continue
		}
		p.dropped = append(p.dropped, target)
		if h.until.After(now) {
			p.listing.Gone = append(p.listing.Gone, target)
		}
	}
}

// sort puts a plan into the order of its targets, networks before what is in them:
// one list ends in one state, and the store likes keys in their order.
func (p *plan) sort() {
	slices.SortFunc(p.listing.Orders, func(a, b ban.Order) int { return a.Target.Compare(b.Target) })
	slices.SortFunc(p.listing.Gone, netip.Prefix.Compare)
}

// empty reports whether there is nothing to tell the ledger.
func (p *plan) empty() bool { return len(p.listing.Orders) == 0 && len(p.listing.Gone) == 0 }

// believable fails where a list has shrunk or grown more at once than it may.
// Compared is what still stands: once all of it has run out, the next list is taken
// as the first one was.
func (s *standing) believable(a answer, now time.Time) error {
	before := s.count(now)
	after := s.after(a, before, now)
	switch {
	case after > s.bounds.entries: // in pages, each of which is short enough
		return fmt.Errorf("more than %d entries (max_entries)", s.bounds.entries)
	case before == 0 || !s.complete:
		return nil
	case a.size == 0:
		return errors.New("the list is empty to the last byte, which is not believed")
	}
	most := max(smallChange, int(s.guard*float64(before)))
	switch {
	case before-after > most:
		return fmt.Errorf("the list has shrunk from %d to %d entries, which is not believed (guard)", before, after)
	case after-before > most:
		return fmt.Errorf("the list has grown from %d to %d entries, which is not believed (guard)", before, after)
	}
	return nil
}

// count is how many of the listed targets are banned by it at present.
func (s *standing) count(now time.Time) int {
	n := 0
	for _, h := range s.listed {
		if h.until.After(now) {
			n++
		}
	}
	return n
}

// after is how many targets would be listed with an answer; before are now.
func (s *standing) after(a answer, before int, now time.Time) int {
	n, adds := 0, a.kind != whole
	if adds {
		n = before
	}
	for i := range a.list.entries {
		e := &a.list.entries[i]
		h := s.listed[e.target]
		if e.end(now, s.config).Sub(now) < shortest || adds && h != nil && h.until.After(now) {
			continue
		}
		n++
	}
	return n
}

// carriedOut notes that a plan was carried out, and what became of it.
func (s *standing) carriedOut(p *plan, outcome plugin.Outcome) {
	for _, target := range p.dropped {
		delete(s.listed, target)
	}
	s.complete = s.complete || p.kind == whole
	unknown := outcome.Refusals > len(outcome.Refused)
	for target, h := range p.ordered {
		h.refused = unknown
		s.listed[target] = h
	}
	for i := range outcome.Refused {
		refusal := &outcome.Refused[i]
		h := p.ordered[refusal.Order.Target.Prefix()]
		if h == nil {
			continue
		}
		h.refused = true
		if refusal.Standing != nil && !refusal.Standing.Until.IsZero() {
			h.due = refusal.Standing.Until // the ban that holds it now may end before ours were due
		}
	}
}
