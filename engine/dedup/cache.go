package dedup

// Max bounds the values in a cache. The oldest is dropped first.
const Max = 4096

// A Cache remembers the last Max values that were put, by key. The zero value is
// an empty cache. It is not safe for concurrent use.
type Cache[K comparable, V any] struct {
	values map[K]entry[V]
	ring   []K    // the keys in the order of their puts
	puts   uint64 // number of puts so far
}

type entry[V any] struct {
	value V
	put   uint64 // number of its put; the key's place in the ring is valid only for this put
}

// Put stores a value for a key and replaces an earlier one.
func (c *Cache[K, V]) Put(key K, value V) {
	if c.values == nil {
		c.values = map[K]entry[V]{}
	}
	if len(c.ring) < Max {
		c.ring = append(c.ring, key)
	} else {
		place := &c.ring[c.puts%Max]
		if old, ok := c.values[*place]; ok && old.put == c.puts-Max {
			delete(c.values, *place)
		}
		*place = key
	}
	c.values[key] = entry[V]{value, c.puts}
	c.puts++
}

// Take returns the key's value and removes it.
func (c *Cache[K, V]) Take(key K) (value V, ok bool) {
	found, ok := c.values[key]
	if ok {
		delete(c.values, key)
	}
	return found.value, ok
}
