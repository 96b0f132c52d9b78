package rule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestTold(t *testing.T) {
	log := newToldLog()
	const every = int64(time.Minute / time.Microsecond)
	for i, step := range []struct {
		about string
		at    int64
		since int
		ok    bool
	}{
		{"a", 0, 0, true},
		{"a", 1, 0, false},
		{"b", 2, 0, true},
		{"a", every - 1, 0, false},
		{"a", every, 2, true},         // as long as that ago is long enough
		{"a", 1, 0, false},            // an event that was overtaken
		{"a", -every, 1, true},        // a clock that was set back by more
		{"a", 2 * every, 0, true},     // nothing was held since
		{"b", 100 * every, 0, true},   // long ago
		{"", 100 * every, 0, true},    // a firing that catches nobody by name
		{"", 100*every + 1, 0, false}, // as any other
	} {
		since, ok := log.tell(step.about, time.Minute, step.at)
		if since != step.since || ok != step.ok {
			t.Errorf("step %d: %q at %d: %d, %t", i, step.about, step.at, since, ok)
		}
	}
}

// TestToldIsBounded tells of more than is remembered: what is heard of again and
// again stays, and what was not for the longest goes.
func TestToldIsBounded(t *testing.T) {
	log := newToldLog()
	log.half = 10
	for i := range 1000 {
		log.tell(fmt.Sprint("passing by ", i), time.Hour, int64(i))
		if _, ok := log.tell("attacker", time.Hour, int64(i)); ok != (i == 0) {
			t.Fatalf("told of the attacker at %d", i)
		}
		if n := len(log.newer) + len(log.older); n > 2*log.half {
			t.Fatalf("%d are remembered", n)
		}
	}
	if _, ok := log.tell("passing by 995", time.Hour, 1000); ok {
		t.Error("one of the latest is forgotten")
	}
	if _, ok := log.tell("passing by 5", time.Hour, 1000); !ok {
		t.Error("one of the first is not")
	}
}

// TestToldAgreesWithTheModel compares with a plain map, while there is room.
func TestToldAgreesWithTheModel(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 11))
		log := newToldLog()
		log.half = 8 // so that the halves are changed, and nothing is lost
		last, held := map[string]int64{}, map[string]int{}
		now := int64(0)
		for step := range 300 {
			now += int64(rng.IntN(100)) - 5
			about := fmt.Sprint(rng.IntN(8))
			at, known := last[about]
			wantOK := !known || now-at >= 60 || at-now >= 60
			wantSince := 0
			if wantOK {
				wantSince = held[about]
				last[about], held[about] = now, 0
			} else {
				held[about]++
			}
			if since, ok := log.tell(about, 60*time.Microsecond, now); ok != wantOK || since != wantSince {
				t.Fatalf("seed %d, step %d: %d, %t, want %d, %t", seed, step, since, ok, wantSince, wantOK)
			}
		}
	}
}

func TestToldSurvivesAReload(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	old := NewSet([]*Spec{guessing(t)})
	old.Told(old.rules[0].spec, "1000@pbx", time.Hour, at)
	changed := guessing(t)
	changed.Threshold = nil // it counts something else now, and has the same name
	renamed := guessing(t)
	renamed.Name = "renamed"
	s := NewSet([]*Spec{changed, renamed})
	s.Adopt(old)
	for i := range 3 {
		if _, ok := s.Told(changed, "1000@pbx", time.Hour, at.Add(time.Minute)); ok {
			t.Fatalf("told again, %d", i)
		}
	}
	if since, ok := s.Told(changed, "1000@pbx", time.Minute, at.Add(time.Minute)); !ok || since != 3 {
		t.Errorf("with a shorter time: %d, %t", since, ok)
	}
	if _, ok := s.Told(renamed, "1000@pbx", time.Hour, at.Add(time.Minute)); !ok {
		t.Error("a rule of another name is held off")
	}
	if held := s.Stats()[0].Held; held != 3 {
		t.Errorf("held %d", held)
	}
	if _, ok := s.Told(guessing(t), "1000@pbx", time.Hour, at); !ok {
		t.Error("a rule that is no longer there is held off")
	}
}

// BenchmarkTold is one more firing of a key that was told of, and one of a new key.
func BenchmarkTold(b *testing.B) {
	for _, keys := range []int{1, 2 * maxTold} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) {
			names := make([]string, keys)
			for i := range names {
				names[i] = fmt.Sprint("alert 203.0.113.", i)
			}
			log := newToldLog()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				log.tell(names[i%keys], time.Hour, int64(i))
				i++
			}
		})
	}
}
