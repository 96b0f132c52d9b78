package dedup

import (
	"math/rand/v2"
	"testing"
)

// TestCache checks that a cache is bounded and forgets the oldest values.
func TestCache(t *testing.T) {
	var c Cache[int, int]
	c.Put(-1, 1)
	for i := range Half - 1 {
		c.Put(i, i)
	}
	if v, ok := c.Get(-1); !ok || v != 1 {
		t.Error("forgotten too soon")
	}
	c.Put(7, 70)
	for i := range Half + 1 {
		c.Put(Half+i, i)
	}
	if _, ok := c.Take(-1); ok {
		t.Error("the oldest is still known")
	}
	for i := range 3 * Half {
		c.Put(1000+i%10, i)
	}
	if v, ok := c.Take(1005); !ok || v < 3*Half-10 {
		t.Errorf("the last value is %d, %v", v, ok)
	}
}

// TestCacheAgreesWithModel compares caches with a map of all puts: a value that is found
// is the last one, one of the last Half puts is found, and the bound holds.
func TestCacheAgreesWithModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type entry struct{ value, put int }
	for _, half := range []int{0, 1, 100} {
		c := Cache[int, int]{Half: half}
		if half == 0 {
			half = Half
		}
		puts, model := 0, map[int]entry{}
		for i := range 50_000 {
			key := random.IntN(6 * half)
			want, put := model[key]
			got, ok := c.Get(key)
			if ok && (!put || got != want.value) || !ok && put && puts-want.put < half {
				t.Fatalf("step %d: %d, %v; want %+v of %d puts", i, got, ok, want, puts)
			}
			if random.IntN(3) > 0 {
				c.Put(key, i)
				model[key] = entry{i, puts}
				puts++
			} else {
				taken, found := c.Take(key)
				_, again := c.Get(key)
				if taken != got || found != ok || again {
					t.Fatalf("step %d: took %d, %v; want %d, %v; is it still there: %v", i, taken, found, got, ok, again)
				}
				delete(model, key)
			}
			if c.Len() > 2*half {
				t.Fatalf("%d values", c.Len())
			}
		}
	}
}
