package iptables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/ban"

	"golang.org/x/sys/unix"
)

// A set is one of a family's two sets in the kernel.
type set struct {
	name      string
	kind      string // as ipset names it
	revision  uint8  // of the kind
	direction string // what of a packet is looked up, as iptables writes it

	maxElem uint32 // 0: the set does not exist
	members int    // at most
}

// The sets of a family, as indices. That of endpoints exists only while there are any:
// each packet would pay for a second lookup.
const (
	networks = iota
	endpoints
)

// set returns the index of the set that a target belongs to.
func (k key) set() int {
	if k.port != 0 {
		return endpoints
	}
	return networks
}

// lookup returns the match of the rule that names the set.
func (s *set) lookup() string { return s.name + " " + s.direction }

// needed returns the sets that must exist, and counts their members.
func (f *family) needed(want expiries) []*set {
	n := [2]int{}
	for k := range want {
		n[k.set()]++
	}
	for i, set := range f.sets {
		set.members = n[i]
	}
	if n[endpoints] == 0 {
		return f.sets[:endpoints]
	}
	return f.sets[:]
}

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
		for _, f := range a.families {
			for _, set := range f.needed(f.desired.entries()) {
				if err := s.knows(set.kind); err != nil {
					return err
				}
				h, found, err := s.entries(set.name, nil)
				if err != nil {
					return err
				}
				if found && (h.typeName != set.kind || h.family != f.af) {
					return fmt.Errorf("a set %s of type %s exists already; remove it (ipset destroy %s), or give the action another chain",
						set.name, h.typeName, set.name)
				}
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

// reconcileSet gives a needed set of a family those of the wanted entries that belong to
// it, and creates or grows it where needed. The rule that names it is part of the chain's
// plan. refused are the entries that the kernel did not take.
func (f *family) reconcileSet(s *socket, set *set, want expiries, now time.Time, r *repair) (refused []error, err error) {
	h, found, agrees, err := f.agrees(s, set, want, now)
	if err != nil || agrees {
		return nil, err
	}
	have := make(map[ban.Target]entry, set.members)
	if _, _, err = f.list(s, set, now, func(e entry) { have[e.target] = e }); err != nil {
		return nil, err
	}
	if !found {
		r.notes = append(r.notes, "set "+set.name+" was missing")
		size := roomy(set.members, f.newMaxElem)
		if err := s.create(f.af, set, set.name, size); err != nil {
			return nil, err
		}
		h = setHeader{maxElem: size, timeouts: true, counters: true}
	}
	own := f.ownOf(set, want)
	add, del := r.compare(set.name, own, have, now)
	set.maxElem = h.maxElem
	if !h.fits(set.members) {
		return f.grow(s, set, own, now)
	}
	return f.write(s, set, add, del, now)
}

// agrees compares the set without keeping its entries. Nearly always it agrees, and
// 100,000 entries take no memory.
func (f *family) agrees(s *socket, set *set, want expiries, now time.Time) (h setHeader, found, agrees bool, err error) {
	good, other := 0, 0
	h, found, err = f.list(s, set, now, func(e entry) {
		if until, wanted := want.get(e.target); wanted && timeoutAgrees(until.timeout(now), e.timeout) {
			good++
		} else {
			other++
		}
	})
	set.maxElem = h.maxElem
	agrees = found && good == set.members && other == 0 && h.fits(set.members)
	return h, found, agrees, err
}

// list passes the entries of the set with the timeouts that they had at now: to list a million takes seconds,
// in which each has less and less left.
func (f *family) list(s *socket, set *set, now time.Time, each func(entry)) (h setHeader, found bool, err error) {
	n, late := 0, uint32(0)
	return s.entries(set.name, func(e entry) {
		if n++; n%1024 == 1 {
			late = f.late(now)
		}
		if e.timeout > 0 {
			e.timeout += late
		}
		each(e)
	})
}

// late returns how many seconds ago the timeouts of an operation were reckoned.
func (f *family) late(now time.Time) uint32 {
	return uint32(max(f.clock().Sub(now), 0) / time.Second)
}

// fits reports whether the set can hold n entries as it is.
func (h *setHeader) fits(n int) bool { return h.timeouts && h.counters && !crowded(n, h.maxElem) }

// compare returns what to add and delete, and notes what of it is drift. An entry with
// almost no time left may have expired since: it is no drift.
func (r *repair) compare(set string, want expiries, have map[ban.Target]entry, now time.Time) (add, del []entry) {
	otherExpiry := 0
	for target, until := range want.all() {
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
		if _, wanted := want.get(target); wanted {
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

// ownOf returns those of the entries that belong to a set.
func (f *family) ownOf(set *set, entries expiries) expiries {
	if set.members < len(entries) {
		entries = maps.Clone(entries)
		maps.DeleteFunc(entries, func(k key, _ expiry) bool { return f.sets[k.set()] != set })
	}
	return entries
}

// roomAhead is for how many times as many entries a growing set gets room: to fill it again takes longer than
// all that is added meanwhile.
const roomAhead = 4

// grow fills a bigger set beside the old one and swaps them, so that every ban is in
// force at every moment. Counters are kept.
func (f *family) grow(s *socket, set *set, want expiries, now time.Time) (refused []error, err error) {
	if err := s.destroy(f.growing); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err // an earlier one that was not finished
	}
	size := roomy(roomAhead*len(want), f.newMaxElem)
	if err := s.create(f.af, set, f.growing, size); err != nil {
		return nil, err
	}
	fill := f.filler(s, now)
	for target, until := range want.all() {
		fill.add(entry{target: target, timeout: until.timeout(now)})
	}
	fill.send()
	// The list is read on a socket of its own. Most entries have no packets yet.
	counting := withSocket(context.Background(), listBuffer, func(list *socket) error {
		_, _, err := list.entries(set.name, func(e entry) {
			if until, wanted := want.get(e.target); wanted && e.packets > 0 {
				e.timeout = until.timeout(now)
				fill.add(e)
			}
		})
		fill.send()
		return err
	})
	if err = errors.Join(fill.err, counting); err == nil {
		if err = s.swap(f.growing, set.name); err == nil {
			set.maxElem = size
		}
	}
	return fill.refused, errors.Join(err, s.destroy(f.growing))
}

// A filler sends entries to the growing set in parts: a million at once takes much memory.
type filler struct {
	*family
	socket  *socket
	now     time.Time
	part    []entry
	refused []error
	err     error
}

func (f *family) filler(s *socket, now time.Time) *filler {
	return &filler{family: f, socket: s, now: now, part: make([]entry, 0, 1<<11)}
}

func (f *filler) add(e entry) {
	if f.part = append(f.part, e); len(f.part) == cap(f.part) {
		f.send()
	}
}

func (f *filler) send() {
	if f.err == nil {
		var refused []error
		refused, f.err = f.socket.send(cmdAdd, f.af, f.growing, f.since(f.part, f.now))
		f.refused = append(f.refused, refused...)
	}
	f.part = f.part[:0]
}

// changeSets carries out a change of entries without listing the sets.
func (f *family) changeSets(ctx context.Context, w work, now time.Time) (refused []error, err error) {
	var add, del [2][]entry
	if len(w.upserts) > 0 {
		add[networks] = make([]entry, 0, len(w.upserts))
	}
	for _, u := range w.upserts {
		i := keyOf(u.target).set()
		add[i] = append(add[i], entry{target: u.target, timeout: u.expiry.timeout(now)})
	}
	for _, target := range w.removals {
		i := keyOf(target).set()
		del[i] = append(del[i], entry{target: target})
	}
	for i, set := range f.sets {
		if set.maxElem == 0 && len(add[i]) > 0 {
			return nil, errFull // it is created when it is reconciled
		}
	}
	err = withSocket(ctx, 0, func(s *socket) error {
		for i, set := range f.sets {
			set.members += len(add[i])
			write := func() ([]error, error) { return f.write(s, set, add[i], del[i], now) }
			if crowded(set.members, set.maxElem) {
				want := f.desired.entries()
				f.needed(want) // counts the members
				if crowded(set.members, set.maxElem) {
					write = func() ([]error, error) { return f.grow(s, set, f.ownOf(set, want), now) }
				}
			}
			more, err := write()
			refused = append(refused, more...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return refused, err
}

// write adds entries to the set, with the timeouts that they had at now, and deletes others.
func (f *family) write(s *socket, set *set, add, del []entry, now time.Time) (refused []error, err error) {
	for part := range slices.Chunk(add, 1<<14) {
		more, err := s.send(cmdAdd, f.af, set.name, f.since(part, now))
		if refused = append(refused, more...); err != nil {
			return refused, err
		}
	}
	_, err = s.send(cmdDel, f.af, set.name, del)
	return refused, err
}

// since takes the time since now from the timeouts of entries: to write a million takes seconds.
func (f *family) since(part []entry, now time.Time) []entry {
	late := f.late(now)
	for i := range part {
		if e := &part[i]; e.timeout > 0 {
			e.timeout -= min(late, e.timeout-1)
		}
	}
	return part
}

// destroySets removes the sets of a family that no rule names. A set of another form is
// not ours, and one in use stays.
func (f *family) destroySets(ctx context.Context) error {
	return withSocket(ctx, listBuffer, func(s *socket) error {
		if s.knows(f.sets[networks].kind) != nil {
			return nil // without the type or the right to ask for it there is no set of ours
		}
		for _, set := range f.sets {
			for _, name := range []string{set.name, f.growing} {
				h, found, err := s.entries(name, nil)
				if found && h.typeName == set.kind && h.timeouts && h.counters && h.users == 0 {
					err = s.destroy(name)
					found = false
				}
				if err != nil {
					return err
				}
				if !found && name == set.name {
					set.maxElem = 0
				}
			}
		}
		return nil
	})
}
