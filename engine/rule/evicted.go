package rule

import "hash/maphash"

// evictedSlots bounds the evicted keys that a tracker remembers: 8 MB, once it evicts.
const evictedSlots = 1 << 20

// An evictedKeys holds how many matches a key had when it was evicted. An attacker that evicts its
// own key by forged senders, to start from zero, has to fill these slots too: with a million keys
// for each match that is forgotten. The zero value is empty.
//
// A key has one slot. If another one is in it, that has fewer matches from then on by those of the new
// one, or gives way. A key that shares slot and fingerprint with another one is taken for it: one of
// 16 million.
type evictedKeys struct {
	seed  maphash.Seed
	slots []uint64 // fingerprint 24 bits, seconds of the oldest match 24, span 8, proven 1, matches 7
}

const mostEvicted = 1<<7 - 1 // matches of a slot

// A faded window is what is remembered of one: the matches count as spread evenly.
type faded struct {
	n              int
	oldest, newest int64 // microseconds
	proven         bool
}

func (e *evictedKeys) slot(key digest) (slot *uint64, fingerprint uint64) {
	h := maphash.Bytes(e.seed, key[:])
	return &e.slots[h%evictedSlots], h >> 40
}

// put remembers an evicted window. A newer one of another key, or one that is over, gives way.
func (e *evictedKeys) put(key digest, f faded, now, within int64) {
	if e.slots == nil {
		e.seed, e.slots = maphash.MakeSeed(), make([]uint64, evictedSlots)
	}
	slot, fingerprint := e.slot(key)
	n := uint64(min(f.n, mostEvicted))
	if before := *slot & mostEvicted; before > n && *slot>>40 != fingerprint && unpack(*slot, now, within).n > 0 {
		*slot -= n
		return
	}
	span := uint64((f.newest - f.oldest) * 255 / within)
	*slot = fingerprint<<40 | uint64(f.oldest/1e6)&0xffffff<<16 | span<<8 | n
	if f.proven {
		*slot |= 1 << 7
	}
}

// take returns what is remembered of a key, and forgets it.
func (e *evictedKeys) take(key digest, now, within int64) (f faded) {
	if e.slots == nil {
		return faded{}
	}
	slot, fingerprint := e.slot(key)
	if *slot>>40 == fingerprint {
		f = unpack(*slot, now, within)
		*slot = 0
	}
	return f
}

// unpack reads a slot. Without matches within the time, n is 0.
func unpack(slot uint64, now, within int64) (f faded) {
	ago := int64(uint32(uint64(now/1e6)-slot>>16) & 0xffffff) // seconds
	f.oldest = now - now%1e6 - ago*1e6
	f.newest = f.oldest + int64(slot>>8&0xff)*within/255
	if f.newest >= now-within {
		f.n = int(slot & mostEvicted)
	}
	f.proven = slot>>7&1 != 0
	return f
}
