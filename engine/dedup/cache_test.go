package dedup

import (
	"math/rand/v2"
	"testing"
)

// TestCache checks that a cache is bounded and drops the oldest value.
func TestCache(t *testing.T) {
	var c Cache[int, int]
	c.Put(-1, 1)
	for i := range Max - 1 {
		c.Put(i, i)
	}
	if _, ok := c.values[-1]; !ok {
		t.Error("dropped too soon")
	}
	c.Put(7, 70)
	if _, ok := c.Take(-1); ok {
		t.Error("the oldest is still known")
	}
	for i := range 3 * Max {
		c.Put(1000+i%10, i)
	}
	if _, ok := c.Take(7); ok || len(c.values) > Max || len(c.ring) != Max {
		t.Errorf("%d values, %d places", len(c.values), len(c.ring))
	}
	if v, ok := c.Take(1005); !ok || v < 3*Max-10 {
		t.Errorf("the last value is %d, %v", v, ok)
	}
}

// TestOldestDropped compares a cache with a list that is searched.
func TestOldestDropped(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var c Cache[int, int]
	type entry struct{ key, value int }
	var puts []entry
	for i := range 50_000 {
		key := random.IntN(6000)
		if random.IntN(3) > 0 {
			c.Put(key, i)
			puts = append(puts, entry{key, i})
			continue
		}
		want, found := 0, false
		for at := len(puts) - 1; at >= max(0, len(puts)-Max); at-- {
			if puts[at].key == key {
				want, found = puts[at].value, true
				break
			}
		}
		if got, ok := c.Take(key); ok != found || got != want {
			t.Fatalf("step %d: %d, %v; want %d, %v", i, got, ok, want, found)
		}
		for at := range puts {
			if puts[at].key == key {
				puts[at].key = -1
			}
		}
	}
	if len(c.values) > Max || len(c.ring) > Max {
		t.Errorf("%d values, %d places", len(c.values), len(c.ring))
	}
}
