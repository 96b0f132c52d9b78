package rule

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"freeswitch-security/engine/event"
)

// A keyer reads the key of an event. A key that is one address is its own
// digest; any other is hashed with seeds that nobody outside knows, so that no
// caller can choose a user name that collides with another.
type keyer struct {
	key    Key
	fields []*event.Field
	seeds  [2]maphash.Seed
	buf    []byte
}

func newKeyer(key Key) *keyer {
	k := &keyer{key: key, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for _, part := range key {
		k.fields = append(k.fields, fieldNamed(part.Field))
	}
	return k
}

// fieldNamed panics if there is no such field: [ParseField] accepts none.
func fieldNamed(name string) *event.Field {
	field := event.FieldNamed(name)
	if field == nil {
		panic("rule: no field " + strconv.Quote(name))
	}
	return field
}

// digest identifies the key of an event. It reports false where the event lacks
// a part of it.
func (k *keyer) digest(ev *event.Event) (digest, bool) {
	if len(k.key) == 1 && k.key[0].Field == "ip" {
		network, ok := k.key[0].Network.Of(ev.IP)
		return network.Addr().As16(), ok
	}
	k.buf = k.buf[:0]
	for i, part := range k.key {
		if part.Field == "ip" {
			network, ok := part.Network.Of(ev.IP)
			if !ok {
				return digest{}, false
			}
			ip := network.Addr().As16()
			k.buf = append(k.buf, ip[:]...)
			continue
		}
		text := k.fields[i].Get(ev)
		if text == "" {
			return digest{}, false
		}
		k.buf = binary.LittleEndian.AppendUint32(k.buf, uint32(len(text)))
		k.buf = append(k.buf, text...)
	}
	var d digest
	binary.LittleEndian.PutUint64(d[:8], maphash.Bytes(k.seeds[0], k.buf))
	binary.LittleEndian.PutUint64(d[8:], maphash.Bytes(k.seeds[1], k.buf))
	return d, true
}

// text is the key of an event that has one, for people.
func (k *keyer) text(ev *event.Event) string {
	parts := make([]string, len(k.key))
	for i, part := range k.key {
		if part.Field == "ip" {
			network, _ := part.Network.Of(ev.IP)
			parts[i] = networkText(network)
		} else {
			parts[i] = printable(k.fields[i].Get(ev))
		}
	}
	return k.key.join(parts)
}

// networkText writes a network of one address as that address.
func networkText(network netip.Prefix) string {
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

// printable gives a text that a caller may have written the form of a Go string
// without its quotes, if it holds anything that a terminal would obey.
func printable(s string) string {
	s = s[:min(len(s), event.MaxField)]
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		quoted := strconv.Quote(s)
		return quoted[1 : len(quoted)-1]
	}
	return s
}
