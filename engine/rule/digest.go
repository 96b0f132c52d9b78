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

func (h *hasher) digest(key []byte) digest {
	return join(maphash.Bytes(h[0], key), maphash.Bytes(h[1], key))
}

func (h *hasher) digestString(key string) digest {
	return join(maphash.String(h[0], key), maphash.String(h[1], key))
}

func join(a, b uint64) (d digest) {
	binary.LittleEndian.PutUint64(d[:8], a)
	binary.LittleEndian.PutUint64(d[8:], b)
	return d
}
