package rule

import (
	"net/netip"
	"slices"
	"time"
)

// MaxKeys bounds the keys that one rule tracks per source. For a further key, the least
// recently seen one is evicted. If events are in order of time, the first to go is a
// key whose window is over. Of others the number of matches is remembered for a while:
// see [evictedKeys].
const MaxKeys = 200_000

// maxMatches bounds the matches that one rule remembers per source, in all windows. It
// is far above [MaxCount], so that a window is never evicted by its own match.
const maxMatches = 1_000_000

// A match is one counted event. Its texts are in the ring until they are overwritten.
type match struct {
	time  int64  // microseconds since 1970
	value uint64 // hash of the distinct field; 0 if matches are counted
	place uint64 // in the ring
	next  uint32 // in time, or in the free list
	name  uint16 // index into tracker.names

	proven  bool // see event.Event
	foreign bool // of a peer
}

// A window is a list of the matches of one key, ordered by time.
type window struct {
	key            digest
	oldest, newest uint32 // matches
	prev, next     uint32 // windows seen more recently and less recently
	n              uint32
}

// A tracker keeps the windows of one rule on one source.
//
// The window of a key whose newest match is at time T holds the matches from T - within
// on, inclusive. Events may come in any order: each is inserted by its time, and dropped
// if it is older than the window. A key is forgotten when its window has been over for
// another `within`. So counting is exact for events that are late by no more than that.
//
// Index 0 is none. Match 0 is unused. Window 0 is the sentinel of the ring that orders
// the windows by when they were last seen.
type tracker struct {
	within   int64 // microseconds
	base     int64 // what is added to the times in it, which so can all be shifted at once
	distinct bool  // a value counts once, at its latest time

	// open has the key of each call that is open, by its value; nil: matches are no calls.
	open map[uint64]digest

	maxKeys, maxMatches int // MaxKeys and maxMatches, except in tests

	keys       map[digest]uint32 // to windows; nil before the first
	windows    slab[window]
	matches    slab[match]
	freeWindow uint32
	freeMatch  uint32
	remembered int // matches in use

	// addresses of the matches, by the same index, for a rule that bans every
	// address in the window.
	keepAddresses bool
	addresses     slab[[16]byte]

	gone evictedKeys

	names []string // of events; few

	evicted uint64 // windows given up early
	expired uint64 // windows that were over
}

func newTracker(within int64, distinct, keepAddresses bool) *tracker {
	return &tracker{
		within: within, distinct: distinct, keepAddresses: keepAddresses,
		maxKeys: MaxKeys, maxMatches: maxMatches,
	}
}

// maxOpen bounds the open calls that one rule remembers per source: more than a switch of one host
// carries. forgetOpen is when a call without an end is forgotten.
const (
	maxOpen    = 50_000
	forgetOpen = 12 * time.Hour
)

// holdCalls makes a new tracker one of open calls. A match has the call as its value, and stays until
// end is called.
func (t *tracker) holdCalls() {
	t.open, t.within, t.maxMatches = map[uint64]digest{}, forgetOpen.Microseconds(), maxOpen
}

// A hit is an event to be counted.
type hit struct {
	key   digest
	time  int64
	value uint64
	place uint64
	name  string
	addr  netip.Addr

	proven, foreign bool
}

// add counts a hit. It returns the number of matches in the key's window, 0 if the hit
// is older than the window.
func (t *tracker) add(h hit) (n int) {
	h.time -= t.base
	i, known := t.keys[h.key]
	if _, is := t.open[h.value]; is {
		return t.size(h.key) // of which it is, unless its key has changed
	}
	if known {
		t.unlink(i)
	} else {
		i = t.newWindow(h)
	}
	t.linkFirst(i)
	w := t.windows.at(i)
	if !known {
		t.restore(w, h.time)
	}
	if w.n > 0 {
		switch newest := t.matches.at(w.newest).time; {
		case h.time < newest-t.within:
			return 0
		case h.time > newest:
			t.trim(w, h.time-t.within)
		}
	}
	if t.distinct {
		if before, found := t.seen(w, h.value); found != 0 {
			if h.time < t.matches.at(found).time {
				return int(w.n)
			}
			t.drop(w, before, found)
		}
	}
	if t.remembered >= t.maxMatches && t.windows.at(0).prev == i {
		t.drop(w, 0, w.oldest) // nothing else can be evicted
	}
	t.insert(w, t.newMatch(h))
	if t.open != nil {
		t.open[h.value] = h.key
	}
	return int(w.n)
}

// size returns the number of matches in a key's window.
func (t *tracker) size(key digest) int {
	if w := t.window(key); w != nil {
		return int(w.n)
	}
	return 0
}

// window returns the window of a key; nil: it has none.
func (t *tracker) window(key digest) *window {
	if i, known := t.keys[key]; known {
		return t.windows.at(i)
	}
	return nil
}

// trimKey drops the matches of a key that a match at a time would drop.
func (t *tracker) trimKey(key digest, at int64) {
	w := t.window(key)
	if w == nil {
		return
	}
	if t.trim(w, at-t.base-t.within); w.n == 0 {
		t.forget(key)
	}
}

// each calls f with the matches of a key, oldest first.
func (t *tracker) each(key digest, f func(hit)) {
	w := t.window(key)
	if w == nil {
		return
	}
	for i := w.oldest; i != 0; i = t.matches.at(i).next {
		m := t.matches.at(i)
		f(hit{key: key, time: m.time + t.base, value: m.value, place: m.place, name: t.names[m.name], addr: t.address(i), proven: m.proven})
	}
}

// end forgets a call.
func (t *tracker) end(value uint64) {
	key, is := t.open[value]
	if !is {
		return
	}
	w := t.windows.at(t.keys[key])
	before, found := t.seen(w, value)
	if t.drop(w, before, found); w.n == 0 {
		t.forget(key)
	}
}

// trim drops the matches before start.
func (t *tracker) trim(w *window, start int64) {
	for w.n > 0 && t.matches.at(w.oldest).time < start {
		t.drop(w, 0, w.oldest)
	}
}

// seen finds the match of a value in a window, and the one before it; 0: none.
func (t *tracker) seen(w *window, value uint64) (before, found uint32) {
	for i := w.oldest; i != 0; i = t.matches.at(i).next {
		if t.matches.at(i).value == value {
			return before, i
		}
		before = i
	}
	return 0, 0
}

// insert inserts a match by its time, after those of the same time. In an ordered stream
// that is the end.
func (t *tracker) insert(w *window, i uint32) {
	m := t.matches.at(i)
	w.n++
	if w.newest == 0 || t.matches.at(w.newest).time <= m.time {
		t.setNext(w, w.newest, i)
		m.next, w.newest = 0, i
		return
	}
	before, after := uint32(0), w.oldest
	for t.matches.at(after).time <= m.time {
		before, after = after, t.matches.at(after).next
	}
	t.setNext(w, before, i)
	m.next = after
}

// drop removes a match from a window; before is the match before it.
func (t *tracker) drop(w *window, before, i uint32) {
	m := t.matches.at(i)
	t.setNext(w, before, m.next)
	if w.newest == i {
		w.newest = before
	}
	w.n--
	m.next, t.freeMatch = t.freeMatch, i
	t.remembered--
	delete(t.open, m.value)
}

// setNext makes match i the next of another one, or the oldest.
func (t *tracker) setNext(w *window, before, i uint32) {
	if before == 0 {
		w.oldest = i
		return
	}
	t.matches.at(before).next = i
}

func (t *tracker) newMatch(h hit) uint32 {
	for t.remembered >= t.maxMatches {
		t.evict(h.time)
	}
	t.remembered++
	i := t.freeMatch
	if i != 0 {
		t.freeMatch = t.matches.at(i).next
	} else {
		t.matches.grow(0)
		i = t.matches.extend()
	}
	*t.matches.at(i) = match{time: h.time, value: h.value, place: h.place, name: t.nameID(h.name), proven: h.proven, foreign: h.foreign}
	if t.keepAddresses {
		t.addresses.grow(i)
		*t.addresses.at(i) = h.addr.As16()
	}
	return i
}

// newWindow makes an empty window for a hit's key. It forgets a few windows that are
// long over, and evicts one if there is no room.
func (t *tracker) newWindow(h hit) uint32 {
	t.windows.grow(0)
	const perInsert = 2 // more than 1, so that the number of idle windows decreases
	for range perInsert {
		last := t.windows.at(0).prev
		if last == 0 || t.matches.at(t.windows.at(last).newest).time >= h.time-2*t.within {
			break
		}
		t.forgetWindow(last)
		t.expired++
	}
	for len(t.keys) >= t.maxKeys {
		t.evict(h.time)
	}
	i := t.freeWindow
	if i != 0 {
		t.freeWindow = t.windows.at(i).next
	} else {
		i = t.windows.extend()
	}
	*t.windows.at(i) = window{key: h.key}
	if t.keys == nil {
		t.keys = map[digest]uint32{}
	}
	t.keys[h.key] = i
	return i
}

// evict forgets the least recently seen window, except for the number of its matches. Those of
// distinct values cannot be added to later ones.
func (t *tracker) evict(now int64) {
	last := t.windows.at(0).prev
	w := t.windows.at(last)
	switch newest := t.matches.at(w.newest).time; {
	case newest < now-t.within:
		t.expired++
	case t.distinct, t.open != nil:
		t.evicted++
	default:
		t.evicted++
		f := faded{n: int(w.n), oldest: t.matches.at(w.oldest).time, newest: newest, proven: true}
		for i := w.oldest; i != 0; i = t.matches.at(i).next {
			f.proven = f.proven && t.matches.at(i).proven
		}
		t.gone.put(w.key, f, now, t.within)
	}
	t.forgetWindow(last)
}

// restore gives a new window the matches that are remembered of its key. Their texts are lost.
func (t *tracker) restore(w *window, now int64) {
	f := t.gone.take(w.key, now, t.within)
	for i := range int64(f.n) {
		at := f.oldest + (f.newest-f.oldest)*i/max(1, int64(f.n-1))
		if at >= f.newest-t.within {
			t.insert(w, t.newMatch(hit{time: at, proven: f.proven}))
		}
	}
}

// shorten keeps the newest count matches of a key.
func (t *tracker) shorten(key digest, count int) {
	for w := t.window(key); w != nil && int(w.n) > count; {
		t.drop(w, 0, w.oldest)
	}
}

// spans reports whether a key's window holds count matches, all within the time that
// ends at end.
func (t *tracker) spans(key digest, count int, end int64) bool {
	end -= t.base
	w := t.window(key)
	return w != nil && int(w.n) >= count &&
		t.matches.at(w.oldest).time >= end-t.within && t.matches.at(w.newest).time <= end
}

// forget removes the window of a key.
func (t *tracker) forget(key digest) {
	if i, known := t.keys[key]; known {
		t.forgetWindow(i)
	}
}

func (t *tracker) forgetAll() {
	for key := range t.keys {
		t.forget(key)
	}
}

func (t *tracker) forgetWindow(i uint32) {
	w := t.windows.at(i)
	for w.n > 0 {
		t.drop(w, 0, w.oldest)
	}
	t.unlink(i)
	delete(t.keys, w.key)
	w.next, t.freeWindow = t.freeWindow, i
}

func (t *tracker) unlink(i uint32) {
	w := t.windows.at(i)
	t.windows.at(w.prev).next = w.next
	t.windows.at(w.next).prev = w.prev
}

func (t *tracker) linkFirst(i uint32) {
	sentinel, w := t.windows.at(0), t.windows.at(i)
	w.prev, w.next = 0, sentinel.next
	t.windows.at(sentinel.next).prev = i
	sentinel.next = i
}

// nameID returns the number of an event's name. Names beyond the first 65,535 are
// remembered as "".
func (t *tracker) nameID(name string) uint16 {
	if id := slices.Index(t.names, name); id > 0 {
		return uint16(id)
	}
	if len(t.names) == 0 {
		t.names = append(t.names, "")
	}
	if len(t.names) > 0xffff {
		return 0
	}
	id := uint16(len(t.names))
	t.names = append(t.names, name)
	return id
}

// A counted is a match for use outside of the tracker.
type counted struct {
	time  int64
	name  string
	place uint64
	addr  netip.Addr // invalid if addresses are not kept

	proven, foreign bool
}

// others appends the newest matches, at most so many, in a key's window, oldest first, except the one at a place
// in the ring; a place of 0 is none.
func (t *tracker) others(out []counted, key digest, place uint64, most int) []counted {
	w := t.windows.at(t.keys[key])
	older := int(w.n) - most
	for i := w.oldest; i != 0; i = t.matches.at(i).next {
		m := t.matches.at(i)
		if older--; older >= 0 || m.place == place && place != 0 {
			continue
		}
		out = append(out, counted{time: m.time + t.base, name: t.names[m.name], place: m.place, addr: t.address(i), proven: m.proven, foreign: m.foreign})
	}
	return out
}

func (t *tracker) address(i uint32) netip.Addr {
	if i >= t.addresses.used {
		return netip.Addr{}
	}
	// An invalid address is stored as zeros.
	if a := *t.addresses.at(i); a != [16]byte{} {
		return netip.AddrFrom16(a).Unmap()
	}
	return netip.Addr{}
}

// carryOver hands the tracker to a rule of a new configuration. addresses says whether addresses are
// kept from now on. What was evicted until now is in the status of the rule.
func (t *tracker) carryOver(addresses bool) {
	t.keepAddresses, t.evicted, t.expired = addresses, 0, 0
	if !addresses {
		t.addresses = slab[[16]byte]{} // later matches get the same indices
	}
}
