package recent

import (
	"math/rand/v2"
	"testing"
)

// TestMemory: what is remembered is bounded, and the oldest is forgotten.
func TestMemory(t *testing.T) {
	var r Memory[int, int]
	r.Put(-1, 1)
	for i := range Max - 1 {
		r.Put(i, i)
	}
	if _, ok := r.values[-1]; !ok {
		t.Error("forgotten too soon")
	}
	r.Put(7, 70)
	if _, ok := r.Take(-1); ok {
		t.Error("the oldest is still known")
	}
	for i := range 3 * Max {
		r.Put(1000+i%10, i)
	}
	if _, ok := r.Take(7); ok || len(r.values) > Max || len(r.ring) != Max {
		t.Errorf("%d values, %d places", len(r.values), len(r.ring))
	}
	if v, ok := r.Take(1005); !ok || v < 3*Max-10 {
		t.Errorf("the last value is %d, %v", v, ok)
	}
}

// TestMemoryForgetsTheOldest compares a memory with a list that is searched.
func TestMemoryForgetsTheOldest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var r Memory[int, int]
	type entry struct{ key, value int }
	var puts []entry
	for i := range 50_000 {
		key := random.IntN(6000)
		if random.IntN(3) > 0 {
			r.Put(key, i)
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
		if got, ok := r.Take(key); ok != found || got != want {
			t.Fatalf("step %d: %d, %v; want %d, %v", i, got, ok, want, found)
		}
		for at := range puts {
			if puts[at].key == key {
				puts[at].key = -1
			}
		}
	}
	if len(r.values) > Max || len(r.ring) > Max {
		t.Errorf("%d values, %d places", len(r.values), len(r.ring))
	}
}
