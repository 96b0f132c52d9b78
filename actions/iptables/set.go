package iptables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// errNoSets marks that the kernel cannot give us the sets that we need, so that
// rules have to do.
var errNoSets = errors.New("no set")

// endSlack is how far, in seconds, the kernel's idea of an entry's end may be
// from ours: both round.
const endSlack = 2

// roomy is the size of a set that is to hold n entries and be less than half
// full.
func roomy(n int, least uint32) uint32 {
	size := max(least, minEntries)
	for uint64(size) < 2*uint64(n) && size < maxEntries {
		size *= 2
	}
	return size
}

// crowded reports whether a set has to grow before n entries are in it: above
// three quarters of what it may hold.
func crowded(n int, maxElem uint32) bool {
	return uint64(n)*4 > uint64(maxElem)*3 && maxElem < maxEntries
}

// endAgrees reports whether an entry's timeout in the kernel is the one it
// should have; both in seconds, 0 for ever. What is longer than the kernel
// holds is renewed when half of it has passed.
func endAgrees(want, have uint32) bool {
	switch {
	case want == 0 || have == 0:
		return want == have
	case want >= maxTimeout:
		return have >= maxTimeout/2
	}
	return max(want, have)-min(want, have) <= endSlack
}

// checkSets asks whether this kernel has sets, and whether those of our names
// are ours to use.
func (a *Action) checkSets(ctx context.Context) error {
	if err := mayMatchSets(); err != nil {
		return fmt.Errorf("%w: %w", errNoSets, err)
	}
	s, err := dial(ctx, listBuffer)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSets, err)
	}
	defer s.close()
	if err := s.hashNet(); err != nil {
		return fmt.Errorf("%w: %w", errNoSets, err)
	}
	for _, f := range a.families {
		h, found, err := s.header(f.set)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoSets, err)
		}
		if found && (h.typeName != "hash:net" || h.family != f.af) {
			return fmt.Errorf("%w: a set %s of type %s is there already; remove it (ipset destroy %s), or give the action another chain",
				errNoSets, f.set, h.typeName, f.set)
		}
	}
	return nil
}

// mayMatchSets looks for the one thing that rules do not need and sets do: iptables
// asks the kernel for a set over a raw socket.
func mayMatchSets() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("CAP_NET_RAW is missing (setcap cap_net_admin,cap_net_raw+ep), and iptables asks for a set over a raw socket: %w", err)
	}
	return unix.Close(fd)
}

// setDrift is what was wrong with a set.
type setDrift struct {
	missing, surplus []netip.Prefix
	otherEnd         int // entries that would have ended at another time
	notes            []string
	refused          []error
}

// agreeSet makes the set of a family hold the wanted entries, and creates or
// grows it where needed. The rule that names it is the chain's business.
func (f *family) agreeSet(ctx context.Context, want map[netip.Prefix]end, now time.Time) (setDrift, error) {
	var d setDrift
	s, err := dial(ctx, listBuffer)
	if err != nil {
		return d, err
	}
	defer s.close()
	h, found, agrees, err := f.setAgrees(s, want, now)
	if err != nil || agrees {
		return d, err
	}
	have := make(map[netip.Prefix]entry, len(want))
	if _, _, err = s.entries(f.set, func(e entry) {
		have[e.target] = e
	}); err != nil {
		return d, err
	}
	if !found {
		d.notes = append(d.notes, "set "+f.set+" was missing")
		size := roomy(len(want), f.maxEntries)
		if err := s.create(f.af, f.set, size); err != nil {
			return d, err
		}
		h = setHeader{maxElem: size, timeouts: true, counters: true}
	}
	add, del := d.compare(want, have, now)
	f.maxElem, f.members = h.maxElem, len(want)
	if !h.fits(len(want)) {
		return d, f.grow(s, &d, want, have, now)
	}
	if d.refused, err = s.add(f.af, f.set, add); err != nil {
		return d, err
	}
	_, err = s.del(f.af, f.set, del)
	return d, err
}

// setAgrees looks through the set without keeping what it sees: nearly always it
// is as it should be, and then 100,000 entries cost no memory.
func (f *family) setAgrees(s *socket, want map[netip.Prefix]end, now time.Time) (h setHeader, found, agrees bool, err error) {
	good, other := 0, 0
	h, found, err = s.entries(f.set, func(e entry) {
		if end, wanted := want[e.target]; wanted && endAgrees(end.timeout(now), e.timeout) {
			good++
		} else {
			other++
		}
	})
	f.maxElem, f.members = h.maxElem, len(want)
	agrees = found && good == len(want) && other == 0 && h.fits(len(want))
	return h, found, agrees, err
}

// fits reports whether n entries can be kept in the set as it is.
func (h *setHeader) fits(n int) bool { return h.timeouts && h.counters && !crowded(n, h.maxElem) }

// compare says what to add and delete, and notes what of it is drift. An entry
// whose time is as good as over is left to its end.
func (d *setDrift) compare(want map[netip.Prefix]end, have map[netip.Prefix]entry, now time.Time) (add, del []entry) {
	for target, end := range want {
		timeout := end.timeout(now)
		h, there := have[target]
		switch {
		case there && endAgrees(timeout, h.timeout):
			continue
		case there && h.timeout != 0 && timeout >= maxTimeout && h.timeout < maxTimeout: // renewed in its time
		case there:
			d.otherEnd++
		case timeout == 0 || timeout > endSlack:
			d.missing = append(d.missing, target)
		}
		add = append(add, entry{target: target, timeout: timeout})
	}
	for target, h := range have {
		if _, wanted := want[target]; wanted {
			continue
		}
		del = append(del, entry{target: target})
		if h.timeout == 0 || h.timeout > endSlack {
			d.surplus = append(d.surplus, target)
		}
	}
	return add, del
}

// grow builds a roomier set beside the old one and swaps them: whoever is in
// both is blocked by one or the other at every moment. Counters move along.
func (f *family) grow(s *socket, d *setDrift, want map[netip.Prefix]end, have map[netip.Prefix]entry, now time.Time) error {
	if err := s.destroy(f.growing); err != nil && !errors.Is(err, unix.ENOENT) {
		return err // an earlier one that was never finished
	}
	size := roomy(len(want), f.maxEntries)
	if err := s.create(f.af, f.growing, size); err != nil {
		return err
	}
	all := make([]entry, 0, len(want))
	for target, end := range want {
		h := have[target]
		all = append(all, entry{target, end.timeout(now), h.packets, h.bytes})
	}
	var err error
	if d.refused, err = s.add(f.af, f.growing, all); err != nil {
		return errors.Join(err, s.destroy(f.growing))
	}
	if err := s.swap(f.growing, f.set); err != nil {
		return errors.Join(err, s.destroy(f.growing))
	}
	f.maxElem = size
	return s.destroy(f.growing)
}

// changeSet carries out a change of entries without looking at the whole set.
func (f *family) changeSet(ctx context.Context, puts []put, drops []netip.Prefix, now time.Time) (refused []error, err error) {
	if crowded(f.members+len(puts), f.maxElem) {
		return nil, errFull // or soon will be; whoever looks at all of it lets it grow
	}
	s, err := dial(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	add := make([]entry, len(puts))
	for i, p := range puts {
		add[i] = entry{target: p.target, timeout: p.end.timeout(now)}
	}
	f.members += len(add)
	if refused, err = s.add(f.af, f.set, add); err != nil {
		return refused, err
	}
	del := make([]entry, len(drops))
	for i, p := range drops {
		del[i] = entry{target: p}
	}
	_, err = s.del(f.af, f.set, del)
	return refused, err
}

// listSet returns the targets in the set of a family; none where there is no set.
func (f *family) listSet(ctx context.Context) (map[netip.Prefix]bool, error) {
	s, err := dial(ctx, listBuffer)
	if err != nil {
		return nil, err
	}
	defer s.close()
	members := map[netip.Prefix]bool{}
	_, _, err = s.entries(f.set, func(e entry) {
		members[e.target] = true
	})
	return members, err
}

// destroySet removes the sets of a family that no rule names any more. A set
// of another type is somebody else's, and one that is still in use stays.
func (f *family) destroySet(ctx context.Context) error {
	s, err := dial(ctx, listBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	if s.hashNet() != nil {
		return nil // no sets in this kernel, or none for us: then none of ours either
	}
	for _, set := range []string{f.set, f.growing} {
		h, found, err := s.header(set)
		if err != nil {
			return err
		}
		if !found || h.typeName != "hash:net" || !h.timeouts || !h.counters || h.users > 0 {
			continue
		}
		if err := s.destroy(set); err != nil {
			return err
		}
	}
	return nil
}
