package ban

import (
	"iter"
	"maps"
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

// all yields everything, in the order of targets.
func (t *table[V]) all() iter.Seq2[Target, V] {
	return func(yield func(Target, V) bool) {
		for p, v := range t.networks.AllSorted() {
			if !yield(Network(p), v) {
				return
			}
		}
		for _, target := range slices.SortedFunc(maps.Keys(t.others), Target.Compare) {
			if !yield(target, t.others[target]) {
				return
			}
		}
	}
}

// around yields the values of the target and of the networks that contain it.
func (t *table[V]) around(target Target) iter.Seq[V] {
	return func(yield func(V) bool) {
		if v, ok := t.others[target]; ok && !yield(v) {
			return
		}
		if p := target.Prefix(); p.IsValid() {
			for _, v := range t.networks.Supernets(p) {
				if !yield(v) {
					return
				}
			}
		}
	}
}
