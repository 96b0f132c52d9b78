package rule

import (
	"encoding/binary"
	"hash/maphash"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// A keyer reads the key of an event. The digest of a key that is one address is that
// address; any other key is hashed.
type keyer struct {
	key    Key
	nat64  ban.NAT64
	fields []*event.Field
	hasher hasher
	buf    []byte
}

func newKeyer(key Key, nat64 ban.NAT64) *keyer {
	k := &keyer{key: key, nat64: nat64, hasher: newHasher()}
	for _, part := range key {
		k.fields = append(k.fields, event.FieldNamed(part.Field))
	}
	return k
}

// isAddress reports whether the key is one address or network.
func (k *keyer) isAddress() bool { return len(k.key) == 1 && k.key[0].Field == "ip" }

// digest identifies the key of an event. It reports false if the event lacks a part.
func (k *keyer) digest(ev *event.Event) (digest, bool) {
	if k.isAddress() {
		network, ok := k.key[0].Network.Of(ev.IP, k.nat64)
		return network.Addr().As16(), ok
	}
	k.buf = k.buf[:0]
	for i, part := range k.key {
		if part.Field == "ip" {
			network, ok := part.Network.Of(ev.IP, k.nat64)
			if !ok {
				return digest{}, false
			}
			ip := network.Addr().As16()
			k.buf = append(k.buf, ip[:]...)
			continue
		}
		text := k.fields[i].Counted(ev)
		if text == "" {
			return digest{}, false
		}
		k.buf = binary.LittleEndian.AppendUint32(k.buf, uint32(len(text)))
		k.buf = append(k.buf, text...)
	}
	return k.hasher.digest(k.buf), true
}

// text returns the key of an event in readable form. The event must have every part.
func (k *keyer) text(ev *event.Event) string {
	parts := make([]string, len(k.key))
	for i, part := range k.key {
		if part.Field == "ip" {
			network, _ := part.Network.Of(ev.IP, k.nat64)
			parts[i] = ban.Network(network).String()
		} else {
			parts[i] = event.Printable(k.fields[i].Get(ev))
		}
	}
	return k.key.join(parts)
}

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
