package recent

// Max bounds what is remembered; the oldest goes first.
const Max = 4096

// A Memory remembers the last Max values that were put, by key. The zero value
// remembers nothing yet.
type Memory[K comparable, V any] struct {
	values map[K]remembered[V]
	ring   []K    // the keys in the order of their puts
	puts   uint64 // how many there were
}

type remembered[V any] struct {
	value V
	put   uint64 // the number of the put, which tells whether a place in the ring is still the key's
}

// Put remembers a value for a key, in the place of an earlier one.
func (r *Memory[K, V]) Put(key K, value V) {
	if r.values == nil {
		r.values = map[K]remembered[V]{}
	}
	if len(r.ring) < Max {
		r.ring = append(r.ring, key)
	} else {
		place := &r.ring[r.puts%Max]
		if old, ok := r.values[*place]; ok && old.put == r.puts-Max {
			delete(r.values, *place)
		}
		*place = key
	}
	r.values[key] = remembered[V]{value, r.puts}
	r.puts++
}

// Take gives the key's value and forgets it.
func (r *Memory[K, V]) Take(key K) (value V, ok bool) {
	entry, ok := r.values[key]
	if ok {
		delete(r.values, key)
	}
	return entry.value, ok
}
