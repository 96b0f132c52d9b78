package ban

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A table maps targets to values. Addresses and networks stand in a routing table,
// which finds what contains them; the other kinds, which contain nothing, in a map.
type table[V any] struct {
	networks bart.Table[V]
	others   map[Target]V
}

func (t *table[V]) get(target Target) (V, bool) {
	if p, ok := target.Network(); ok {
		return t.networks.Get(p)
	}
	v, ok := t.others[target]
	return v, ok
}

func (t *table[V]) put(target Target, v V) {
	if p, ok := target.Network(); ok {
		t.networks.Insert(p, v)
		return
	}
	if t.others == nil {
		t.others = map[Target]V{}
	}
	t.others[target] = v
}

func (t *table[V]) remove(target Target) {
	if p, ok := target.Network(); ok {
		t.networks.Delete(p)
		return
	}
	delete(t.others, target)
}

func (t *table[V]) size() int { return t.networks.Size() + len(t.others) }

// around yields the values of the target and of the networks that contain it.
func (t *table[V]) around(target Target) iter.Seq[V] {
	return func(yield func(V) bool) {
		if v, ok := t.others[target]; ok && !yield(v) {
			return
		}
		for _, v := range t.networks.Supernets(target.Prefix()) {
			if !yield(v) {
				return
			}
		}
	}
}

// after yields what follows target, in the order of targets; the zero Target precedes
// all others. It takes no longer where much precedes target.
func (t *table[V]) after(target Target) iter.Seq2[Target, V] {
	return func(yield func(Target, V) bool) {
		if target.other() == "" {
			for p, v := range networksAfter(&t.networks, target.Prefix()) {
				if !yield(Network(p), v) {
					return
				}
			}
		}
		for _, other := range slices.SortedFunc(maps.Keys(t.others), Target.Compare) {
			if other.Compare(target) > 0 && !yield(other, t.others[other]) {
				return
			}
		}
	}
}

// networksAfter yields what follows a network, in order. That is what lies within it,
// then what lies on the other side of each of its bits that is not set, from the last bit
// to the first, and then the other family.
func networksAfter[V any](networks *bart.Table[V], from netip.Prefix) iter.Seq2[netip.Prefix, V] {
	if !from.IsValid() {
		return networks.AllSorted()
	}
	return func(yield func(netip.Prefix, V) bool) {
		for p, v := range networks.Subnets(from) {
			if p != from && !yield(p, v) {
				return
			}
		}
		address := from.Addr().AsSlice()
		for bits := from.Bits(); bits > 0; bits-- {
			octet, bit := &address[(bits-1)/8], byte(0x80)>>((bits-1)%8)
			if *octet&bit == 0 {
				*octet |= bit
				other, _ := netip.AddrFromSlice(address) // of the same length
				for p, v := range networks.Subnets(netip.PrefixFrom(other, bits)) {
					if !yield(p, v) {
						return
					}
				}
			}
			*octet &^= bit
		}
		if from.Addr().Is4() {
			networks.AllSorted6()(yield)
		}
	}
}
