package esl

// maxRecent bounds what is remembered of each kind; the oldest goes first.
const maxRecent = 4096

// recent remembers the last maxRecent values that were put, by key.
type recent[K comparable, V any] struct {
	values map[K]remembered[V]
	ring   []K    // the keys in the order of their puts
	puts   uint64 // how many there were
}

type remembered[V any] struct {
	value V
	put   uint64 // the number of the put, which tells whether a place in the ring is still the key's
}

func (r *recent[K, V]) put(key K, value V) {
	if r.values == nil {
		r.values = map[K]remembered[V]{}
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, key)
	} else {
		place := &r.ring[r.puts%maxRecent]
		if old, ok := r.values[*place]; ok && old.put == r.puts-maxRecent {
			delete(r.values, *place)
		}
		*place = key
	}
	r.values[key] = remembered[V]{value, r.puts}
	r.puts++
}

// take gives the key's value and forgets it.
func (r *recent[K, V]) take(key K) (value V, ok bool) {
	entry, ok := r.values[key]
	if ok {
		delete(r.values, key)
	}
	return entry.value, ok
}
