package iptables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// expirySlack is the difference, in seconds, that rounding can make between the
// timeout of an entry here and in the kernel.
const expirySlack = 2

// roomy returns the size at which a set with n entries is less than half full.
func roomy(n int, least uint32) uint32 {
	size := max(least, minEntries)
	for uint64(size) < 2*uint64(n) && size < maxEntries {
		size *= 2
	}
	return size
}

// crowded reports whether a set must grow for n entries: it is more than three quarters
// full.
func crowded(n int, maxElem uint32) bool {
	return uint64(n)*4 > uint64(maxElem)*3 && maxElem < maxEntries
}

// timeoutAgrees compares timeouts in seconds; 0 is permanent. One that is longer than
// the kernel allows is renewed when half of it has passed.
func timeoutAgrees(want, have uint32) bool {
	switch {
	case want == 0 || have == 0:
		return want == have
	case want >= maxTimeout:
		return have >= maxTimeout/2
	}
	return max(want, have)-min(want, have) <= expirySlack
}

// checkSets fails unless the kernel has sets and those of our names are ours to use.
func (a *Action) checkSets(ctx context.Context) error {
	if err := mayMatchSets(); err != nil {
		return err
	}
	return withSocket(ctx, listBuffer, func(s *socket) error {
		if err := s.hashNet(); err != nil {
			return err
		}
		for _, f := range a.families {
			h, found, err := s.entries(f.set, nil)
			if err != nil {
				return err
			}
			if found && (h.typeName != "hash:net" || h.family != f.af) {
				return fmt.Errorf("a set %s of type %s exists already; remove it (ipset destroy %s), or give the action another chain",
					f.set, h.typeName, f.set)
			}
		}
		return nil
	})
}

// mayMatchSets tries what sets need and rules do not: iptables looks up a set's name
// over a raw socket.
func mayMatchSets() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("CAP_NET_RAW is missing (setcap cap_net_admin,cap_net_raw+ep), and iptables looks up sets over a raw socket: %w", err)
	}
	return unix.Close(fd)
}

// reconcileSet gives the set of a family the wanted entries, and creates or grows it
// where needed. The rule that names it is part of the chain's plan. refused are the
// entries that the kernel did not take.
func (f *family) reconcileSet(s *socket, want map[netip.Prefix]expiry, now time.Time) (r repair, refused []error, err error) {
	h, found, agrees, err := f.setAgrees(s, want, now)
	if err != nil || agrees {
		return r, nil, err
	}
	have := make(map[netip.Prefix]entry, len(want))
	if _, _, err = s.entries(f.set, func(e entry) { have[e.target] = e }); err != nil {
		return r, nil, err
	}
	if !found {
		r.notes = append(r.notes, "set "+f.set+" was missing")
		size := roomy(len(want), f.newMaxElem)
		if err := s.create(f.af, f.set, size); err != nil {
			return r, nil, err
		}
		h = setHeader{maxElem: size, timeouts: true, counters: true}
	}
	add, del := r.compare(f.set, want, have, now)
	f.maxElem, f.members = h.maxElem, len(want)
	if !h.fits(len(want)) {
		refused, err = f.grow(s, want, have, now)
	} else {
		refused, err = f.write(s, add, del)
	}
	return r, refused, err
}

// setAgrees compares the set without keeping its entries. Nearly always it agrees, and
// 100,000 entries take no memory.
func (f *family) setAgrees(s *socket, want map[netip.Prefix]expiry, now time.Time) (h setHeader, found, agrees bool, err error) {
	good, other := 0, 0
	h, found, err = s.entries(f.set, func(e entry) {
		if until, wanted := want[e.target]; wanted && timeoutAgrees(until.timeout(now), e.timeout) {
			good++
		} else {
			other++
		}
	})
	f.maxElem, f.members = h.maxElem, len(want)
	agrees = found && good == len(want) && other == 0 && h.fits(len(want))
	return h, found, agrees, err
}

// fits reports whether the set can hold n entries as it is.
func (h *setHeader) fits(n int) bool { return h.timeouts && h.counters && !crowded(n, h.maxElem) }

// compare returns what to add and delete, and notes what of it is drift. An entry with
// almost no time left may have expired since: it is no drift.
func (r *repair) compare(set string, want map[netip.Prefix]expiry, have map[netip.Prefix]entry, now time.Time) (add, del []entry) {
	otherExpiry := 0
	for target, until := range want {
		timeout := until.timeout(now)
		h, exists := have[target]
		switch {
		case exists && timeoutAgrees(timeout, h.timeout):
			continue
		case exists && h.timeout != 0 && timeout >= maxTimeout && h.timeout < maxTimeout: // renewed in its time
		case exists:
			otherExpiry++
		case timeout == 0 || timeout > expirySlack:
			r.missing = append(r.missing, target)
		}
		add = append(add, entry{target: target, timeout: timeout})
	}
	for target, h := range have {
		if _, wanted := want[target]; wanted {
			continue
		}
		del = append(del, entry{target: target})
		if h.timeout == 0 || h.timeout > expirySlack {
			r.surplus = append(r.surplus, target)
		}
	}
	if otherExpiry > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%d bans in set %s had another expiry", otherExpiry, set))
	}
	return add, del
}

// grow fills a bigger set beside the old one and swaps them, so that every ban is in
// force at every moment. Counters are kept.
func (f *family) grow(s *socket, want map[netip.Prefix]expiry, have map[netip.Prefix]entry, now time.Time) (refused []error, err error) {
	if err := s.destroy(f.growing); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err // an earlier one that was not finished
	}
	size := roomy(len(want), f.newMaxElem)
	if err := s.create(f.af, f.growing, size); err != nil {
		return nil, err
	}
	all := make([]entry, 0, len(want))
	for target, until := range want {
		h := have[target]
		all = append(all, entry{target, until.timeout(now), h.packets, h.bytes})
	}
	if refused, err = s.send(cmdAdd, f.af, f.growing, all); err == nil {
		if err = s.swap(f.growing, f.set); err == nil {
			f.maxElem = size
		}
	}
	return refused, errors.Join(err, s.destroy(f.growing))
}

// changeSet carries out a change of entries without listing the set.
func (f *family) changeSet(ctx context.Context, w work, now time.Time) (refused []error, err error) {
	if crowded(f.members+len(w.upserts), f.maxElem) {
		return nil, errFull // it grows when it is reconciled
	}
	add := make([]entry, len(w.upserts))
	for i, u := range w.upserts {
		add[i] = entry{target: u.target, timeout: u.expiry.timeout(now)}
	}
	del := make([]entry, len(w.removals))
	for i, target := range w.removals {
		del[i] = entry{target: target}
	}
	f.members += len(add)
	err = withSocket(ctx, 0, func(s *socket) (err error) {
		refused, err = f.write(s, add, del)
		return err
	})
	return refused, err
}

// write adds entries to the family's set and deletes others.
func (f *family) write(s *socket, add, del []entry) (refused []error, err error) {
	if refused, err = s.send(cmdAdd, f.af, f.set, add); err == nil {
		_, err = s.send(cmdDel, f.af, f.set, del)
	}
	return refused, err
}

// destroySets removes the sets of a family that no rule names. A set of another form is
// not ours, and one in use stays.
func (f *family) destroySets(ctx context.Context) error {
	return withSocket(ctx, listBuffer, func(s *socket) error {
		if s.hashNet() != nil {
			return nil // without the type or the right to ask for it there is no set of ours
		}
		for _, set := range []string{f.set, f.growing} {
			h, found, err := s.entries(set, nil)
			if found && h.typeName == "hash:net" && h.timeouts && h.counters && h.users == 0 {
				err = s.destroy(set)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
