package dedup

import (
	"cmp"
	"iter"
)

// Half bounds each half of a cache that has no bound of its own.
const Half = 4096

// A Cache remembers the values that were put last, by key: at least those of the last
// Half puts, at most twice as many. The zero value is an empty cache. It is not safe for
// concurrent use.
type Cache[K comparable, V any] struct {
	Half         int     // 0: the constant Half
	newer, older map[K]V // newer: put since it was begun. older is forgotten at once
}

// Put stores a value for a key and replaces an earlier one.
func (c *Cache[K, V]) Put(key K, value V) {
	if _, known := c.newer[key]; !known {
		if c.newer == nil || len(c.newer) >= cmp.Or(c.Half, Half) {
			c.turn()
		}
		delete(c.older, key)
	}
	c.newer[key] = value
}

// turn forgets the older half and begins a newer one in its map.
func (c *Cache[K, V]) turn() {
	c.older, c.newer = c.newer, c.older
	clear(c.newer)
	if c.newer == nil {
		c.newer = map[K]V{}
	}
}

// Get returns the key's value.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	if value, ok = c.newer[key]; !ok {
		value, ok = c.older[key]
	}
	return value, ok
}

// Take returns the key's value and removes it.
func (c *Cache[K, V]) Take(key K) (value V, ok bool) {
	if value, ok = c.newer[key]; ok {
		delete(c.newer, key)
	} else if value, ok = c.older[key]; ok {
		delete(c.older, key)
	}
	return value, ok
}

// Len returns the number of values.
func (c *Cache[K, V]) Len() int { return len(c.newer) + len(c.older) }

// All yields the values, those of the newer half first.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, half := range []map[K]V{c.newer, c.older} {
			for key, value := range half {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}
