package iptables

import (
	"errors"
	"fmt"
	"math"
	"time"

	"freeswitch-security/engine/ban"
)

// An expiry is the end of a ban in nanoseconds since 1970.
type expiry int64

const (
	permanent expiry = math.MaxInt64
	unbanned  expiry = 0 // in a change: the ban is over
)

func expiryOf(until time.Time) expiry {
	if until.IsZero() {
		return permanent
	}
	return expiry(until.UnixNano())
}

// remaining returns the time left at now. It is not for a permanent ban.
func (e expiry) remaining(now time.Time) time.Duration {
	return time.Duration(int64(e) - now.UnixNano())
}

// timeout returns the seconds left at now, as ipset counts them: 0 for a permanent
// ban, otherwise rounded up and between 1 and maxTimeout.
func (e expiry) timeout(now time.Time) uint32 {
	if e == permanent {
		return 0
	}
	seconds := int64((e.remaining(now) + time.Second - 1) / time.Second)
	return uint32(min(max(seconds, 1), maxTimeout))
}

// The families, as indices.
const (
	ipv4 = iota
	ipv6
)

func familyOf(t ban.Target) int {
	if t.Prefix().Addr().Is4() {
		return ipv4
	}
	return ipv6
}

// desired is what should be in force in one family: the ledger's bans, aggregated as
// configured.
type desired struct {
	bans        expiries
	aggregation aggregation
}

func newDesired(g aggregation) desired {
	return desired{bans: expiries{}, aggregation: g}
}

// An upsert is an entry that the kernel must have.
type upsert struct {
	target ban.Target
	expiry expiry
	added  bool // false: only its expiry changes
}

// checkTarget says why a target cannot be an entry. As a rule, 0.0.0.0/0 would have
// no -s and drop all packets.
func checkTarget(t ban.Target) error {
	switch p := t.Prefix(); {
	case !p.IsValid():
		return errors.New("not a network")
	case p.Bits() == 0:
		return fmt.Errorf("%s covers all addresses", p)
	case p.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4-mapped IPv6 network", p)
	case p != p.Masked():
		return fmt.Errorf("%s has bits beyond its prefix length", p)
	}
	return nil
}

// coalesce reduces a batch to the last change of each target, by family. A ban that
// has expired at the batch's own time is unbanned. The error is about targets that
// cannot be entries.
func coalesce(batch ban.Batch) (changes [2]expiries, err error) {
	changes = [2]expiries{make(expiries, len(batch.Changes)), {}}
	var errs []error
	for _, c := range batch.Changes {
		target := c.Ban.Target
		if err := checkTarget(target); err != nil {
			errs = append(errs, err)
			continue
		}
		e := unbanned
		if c.InForce() && !c.Ban.Over(batch.Now) {
			e = expiryOf(c.Ban.Until)
		}
		changes[familyOf(target)].put(target, e)
	}
	return changes, few(errs)
}

// work is what a change of bans means for the kernel's entries.
type work struct {
	upserts  []upsert
	removals []ban.Target
}

func (w *work) empty() bool { return len(w.upserts)+len(w.removals) == 0 }

// apply changes the bans.
func (d *desired) apply(changes expiries) (w work) {
	if d.aggregation.bits == 0 { // each ban is an entry
		w.upserts = make([]upsert, 0, len(changes))
		for k, e := range changes {
			switch was, banned := d.bans[k]; {
			case e != unbanned && e != was:
				d.bans[k] = e
				w.upserts = append(w.upserts, upsert{k.target(), e, !banned})
			case e == unbanned && banned:
				delete(d.bans, k)
				w.removals = append(w.removals, k.target())
			}
		}
		return w
	}
	groups := make(map[ban.Target]bool, len(changes))
	for t := range changes.all() {
		groups[d.aggregation.group(t)] = true
	}
	before := d.entriesOf(groups)
	for k, e := range changes {
		if e == unbanned {
			delete(d.bans, k)
		} else {
			d.bans[k] = e
		}
	}
	return difference(before, d.entriesOf(groups))
}

// difference returns what makes other entries of some.
func difference(before, after expiries) (w work) {
	for k, e := range after {
		if was, existed := before[k]; !existed || was != e {
			w.upserts = append(w.upserts, upsert{k.target(), e, !existed})
		}
	}
	for k := range before {
		if _, stays := after[k]; !stays {
			w.removals = append(w.removals, k.target())
		}
	}
	return w
}

// entriesOf returns the entries in the given groups.
func (d *desired) entriesOf(groups map[ban.Target]bool) expiries {
	members := make(expiries, len(groups))
	for t, e := range d.bans.all() {
		if groups[d.aggregation.group(t)] {
			members.put(t, e)
		}
	}
	return d.aggregation.entries(members)
}

// entries returns what the kernel should have. The caller must not change it.
func (d *desired) entries() expiries { return d.aggregation.entries(d.bans) }
