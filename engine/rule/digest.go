package rule

import (
	"encoding/binary"
	"hash/maphash"
)

// A digest identifies a key among those of its rule.
type digest [16]byte

// A hasher makes digests with random seeds, so that an attacker cannot choose a user
// name that collides with another.
type hasher [2]maphash.Seed

func newHasher() hasher { return hasher{maphash.MakeSeed(), maphash.MakeSeed()} }

func (h *hasher) digest(key []byte) (d digest) {
	binary.LittleEndian.PutUint64(d[:8], maphash.Bytes(h[0], key))
	binary.LittleEndian.PutUint64(d[8:], maphash.Bytes(h[1], key))
	return d
}
