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

// current is what is listed, as far as the feed knows: each target with its entry and
// its latest order. It is not safe for concurrent use.
type current struct {
	*config
	listed   map[netip.Prefix]*held
	complete bool // a whole list was accepted: later ones are compared with its size
}

// held is one listed target.
type held struct {
	entry   entry
	until   time.Time // the end of the latest ordered ban
	due     time.Time // of the next order
	refused bool      // the ledger refused the latest order, or may have
}

func newCurrent(c *config) current { return current{config: c, listed: map[netip.Prefix]*held{}} }

const (
	// shortest is how long a ban must last to be ordered.
	shortest = time.Second

	// smallChange is how many entries a list may gain or lose whatever its length: of
	// forty addresses, twenty come and go every day.
	smallChange = 100
)

// A plan is what an answer changes, before it is applied.
type plan struct {
	kind    answerKind
	listing plugin.Listing
	ordered map[netip.Prefix]*held // the ordered targets as they are held afterwards
	added   int                    // of these, targets that are not held now
	dropped []netip.Prefix         // targets that are not listed any more, or whose term is over
}

// isEmpty reports whether the ledger need not know.
func (p *plan) isEmpty() bool { return len(p.listing.Orders) == 0 && len(p.listing.Gone) == 0 }

// plan says what to do about an answer. An error says why the answer is not credible;
// then nothing is to be done.
func (c *current) plan(a answer, now time.Time) (*plan, error) {
	p := &plan{kind: a.kind, listing: plugin.Listing{Author: c.author()}, ordered: map[netip.Prefix]*held{}}
	for i := range a.list.entries {
		c.order(p, &a.list.entries[i], now)
	}
	for target, h := range c.listed {
		standing := h.until.After(now)
		switch listed := a.list.has(target); {
		case a.kind == nothing || a.kind == part:
			continue
		case !listed && a.kind == whole && standing:
			p.listing.Gone = append(p.listing.Gone, target)
			p.dropped = append(p.dropped, target)
			continue
		case !listed && a.kind != whole:
			c.order(p, &h.entry, now)
		}
		if !standing && p.ordered[target] == nil {
			p.dropped = append(p.dropped, target)
		}
	}
	if err := c.check(a, p, now); err != nil {
		return nil, err
	}
	// Networks come before their addresses: equal lists lead to equal bans, and the
	// store is faster with sorted keys.
	slices.SortFunc(p.listing.Orders, func(a, b ban.Order) int { return a.Target.Compare(b.Target) })
	slices.SortFunc(p.listing.Gone, netip.Prefix.Compare)
	return p, nil
}

// order adds an order for a listed entry, if one is due.
func (c *current) order(p *plan, e *entry, now time.Time) {
	end := e.end(now, c.config)
	term := end.Sub(now)
	if term < shortest {
		return
	}
	h := c.listed[e.target]
	if h != nil {
		// A list that says how much is left of a term is some seconds old: a slightly
		// later end is the same ban.
		grown := end.Sub(h.until) >= term/20
		if now.Before(h.due) || h.until.After(now) && !grown && !h.refused {
			return
		}
	}
	if h == nil || !h.until.After(now) {
		p.added++
	}
	// The next order is due after half the term, but so early that one failed read does
	// not let the ban end.
	fresh := max(0, min(term/2, term-2*c.interval-c.interval/2))
	p.ordered[e.target] = &held{entry: *e, until: end, due: now.Add(fresh)}
	o := ban.Order{
		Target: ban.Network(e.target), Source: c.name, Author: c.author(), Reason: cmp.Or(e.reason, c.reason, "listed"),
		At: now, Terms: []ban.Term{ban.Term(term)},
	}
	if e.target.IsSingleIP() { // a network is refused if it contains a trusted address
		o.Address = e.target.Addr()
	}
	p.listing.Orders = append(p.listing.Orders, o)
}

// check fails if a list has shrunk or grown more than it may. It is compared with the
// bans that stand: once all have ended, the next list is accepted as the first one was.
func (c *current) check(a answer, p *plan, now time.Time) error {
	if a.kind == nothing || a.kind == same {
		return nil
	}
	before := 0
	for _, h := range c.listed {
		if h.until.After(now) {
			before++
		}
	}
	after := before - len(p.listing.Gone) + p.added
	most := max(smallChange, int(c.guard*float64(before)))
	switch {
	case after > c.bounds.entries: // in pages, each of which is short enough
		return fmt.Errorf("more than %d entries (max_entries)", c.bounds.entries)
	case before == 0 || !c.complete:
		return nil
	case a.size == 0:
		return errors.New("the list is empty to the last byte, which is not credible")
	case before-after > most:
		return fmt.Errorf("the list has shrunk from %d to %d entries, which is not credible (guard)", before, after)
	case after-before > most:
		return fmt.Errorf("the list has grown from %d to %d entries, which is not credible (guard)", before, after)
	}
	return nil
}

// apply records a plan that was carried out, and its outcome.
func (c *current) apply(p *plan, outcome plugin.Outcome) {
	for _, target := range p.dropped {
		delete(c.listed, target)
	}
	c.complete = c.complete || p.kind == whole
	unknown := outcome.Refusals > len(outcome.Refused)
	for target, h := range p.ordered {
		h.refused = unknown
		c.listed[target] = h
	}
	for i := range outcome.Refused {
		r := &outcome.Refused[i]
		h := p.ordered[r.Target.Prefix()]
		if h == nil {
			continue
		}
		h.refused = true
		if r.Standing && !r.Cover.Until.IsZero() {
			h.due = r.Cover.Until // the other ban may end before our order is due
		}
	}
}
