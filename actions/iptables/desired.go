package iptables

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
)

// forever stands for the end of a permanent ban.
const forever end = math.MaxInt64

// An end is when a ban is over, in nanoseconds since 1970. A plain number keeps
// 100,000 bans in a few megabytes.
type end int64

func endOf(until time.Time) end {
	if until.IsZero() {
		return forever
	}
	return end(until.UnixNano())
}

// over reports whether the ban has ended at now.
func (e end) over(now time.Time) bool { return e != forever && int64(e) <= now.UnixNano() }

// timeout is what is left at now, in seconds as ipset counts them: rounded up,
// never 0 for a ban that ends (0 would be for ever), and no more than the
// kernel holds.
func (e end) timeout(now time.Time) uint32 {
	if e == forever {
		return 0
	}
	left := time.Duration(int64(e) - now.UnixNano())
	seconds := int64((left + time.Second - 1) / time.Second)
	return uint32(min(max(seconds, 1), maxTimeout))
}

// The families, as indices.
const (
	ipv4 = iota
	ipv6
)

func familyOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return ipv4
	}
	return ipv6
}

// desired is what should be in force: the ledger's bans as this action needs
// them, and folded as it was told to.
type desired struct {
	bans    [2]map[netip.Prefix]end // by family
	folding folding
	lapsed  map[netip.Prefix]bool // entries whose end has come, until the ledger says so too
}

func newDesired(f folding) desired {
	return desired{
		bans:    [2]map[netip.Prefix]end{{}, {}},
		folding: f,
		lapsed:  map[netip.Prefix]bool{},
	}
}

// A put is an entry that has to be in the kernel.
type put struct {
	target netip.Prefix
	end    end
	fresh  bool // it was not there before; otherwise only its end has changed
}

// unfit says why a target cannot be an entry. The ledger's targets all can;
// 0.0.0.0/0 as a rule would have no -s at all and shut out everybody.
func unfit(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("not a network")
	case p.Bits() == 0:
		return fmt.Errorf("%s covers everybody", p)
	case p.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4 network in IPv6 clothing", p)
	case p != p.Masked():
		return fmt.Errorf("%s has bits behind its mask", p)
	}
	return nil
}

// coalesce reduces a batch to the last word on each target: its end, or over.
// Bans that are over at the batch's own time are lifted, whatever they say.
func coalesce(batch ban.Batch) (last map[netip.Prefix]end, lifted map[netip.Prefix]bool, err error) {
	last = make(map[netip.Prefix]end, len(batch.Changes))
	lifted = map[netip.Prefix]bool{}
	var errs []error
	for i := range batch.Changes {
		c := &batch.Changes[i]
		target := c.Ban.Target
		if e := unfit(target); e != nil {
			errs = append(errs, e)
			continue
		}
		if c.InForce() && !c.Ban.Over(batch.Now) {
			last[target] = endOf(c.Ban.Until)
			delete(lifted, target)
		} else {
			delete(last, target)
			lifted[target] = true
		}
	}
	return last, lifted, few(errs)
}

// apply takes in the last word on each target and returns what that means for
// the kernel.
func (d *desired) apply(last map[netip.Prefix]end, lifted map[netip.Prefix]bool) (puts []put, drops []netip.Prefix) {
	groups := make(map[netip.Prefix]bool, len(last)+len(lifted))
	for p := range last {
		groups[d.folding.group(p)] = true
	}
	for p := range lifted {
		groups[d.folding.group(p)] = true
	}
	before := d.entriesOf(groups)
	for p, e := range last {
		d.bans[familyOf(p)][p] = e
	}
	for p := range lifted {
		delete(d.bans[familyOf(p)], p)
	}
	after := d.entriesOf(groups)

	for p, e := range after {
		was, stood := before[p]
		if !stood || was != e {
			puts = append(puts, put{p, e, !stood})
		}
	}
	for p := range before {
		if _, stays := after[p]; !stays {
			drops = append(drops, p)
		}
	}
	return puts, drops
}

// replace makes want the bans, and returns why some of them cannot be entries.
func (d *desired) replace(want iter.Seq[ban.Ban], accept func(netip.Prefix) bool, now time.Time) error {
	d.expire(now)
	for _, bans := range d.bans {
		clear(bans) // keeps its room: nearly always the same bans come again
	}
	var errs []error
	for b := range want {
		if b.Over(now) || !accept(b.Target) {
			continue
		}
		if err := unfit(b.Target); err != nil {
			errs = append(errs, err)
			continue
		}
		d.bans[familyOf(b.Target)][b.Target] = endOf(b.Until)
	}
	return few(errs)
}

// expire forgets the bans that are over at now, and remembers them as lapsed:
// that they still stand in the kernel is no drift.
func (d *desired) expire(now time.Time) {
	clear(d.lapsed)
	for _, bans := range d.bans {
		for p, e := range bans {
			if e.over(now) {
				d.lapsed[p] = true
				d.lapsed[d.folding.group(p)] = true
				delete(bans, p)
			}
		}
	}
}

// entriesOf returns the entries that the given groups amount to.
func (d *desired) entriesOf(groups map[netip.Prefix]bool) map[netip.Prefix]end {
	members := make(map[netip.Prefix]end, len(groups))
	if !d.folding.on() {
		for p := range groups {
			if e, ok := d.bans[familyOf(p)][p]; ok {
				members[p] = e
			}
		}
		return members
	}
	for _, bans := range d.bans {
		for p, e := range bans {
			if groups[d.folding.group(p)] {
				members[p] = e
			}
		}
	}
	return d.folding.fold(members)
}

// entries is what should be in the kernel for one family. It is not the
// caller's to change.
func (d *desired) entries(family int) map[netip.Prefix]end {
	if d.folding.on() {
		return d.folding.fold(d.bans[family])
	}
	return d.bans[family]
}

// size is the number of entries of both families.
func (d *desired) size() int { return len(d.entries(ipv4)) + len(d.entries(ipv6)) }
