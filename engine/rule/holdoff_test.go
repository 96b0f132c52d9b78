package rule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestHoldOff(t *testing.T) {
	h := newHoldOff()
	const every = int64(time.Minute / time.Microsecond)
	for i, step := range []struct {
		subject string
		at      int64
		held    int
		ok      bool
	}{
		{"a", 0, 0, true},
		{"a", 1, 0, false},
		{"b", 2, 0, true},
		{"a", every - 1, 0, false},
		{"a", every, 2, true},         // exactly that long after
		{"a", 1, 0, false},            // an event out of order
		{"a", -every, 1, true},        // a clock that was set back by more
		{"a", 2 * every, 0, true},     // none was held back since
		{"b", 100 * every, 0, true},   // long after
		{"", 100 * every, 0, true},    // a firing without a key
		{"", 100*every + 1, 0, false}, // is held back like any other
	} {
		held, ok := h.due(step.subject, time.Minute, step.at)
		if held != step.held || ok != step.ok {
			t.Errorf("step %d: %q at %d: %d, %t", i, step.subject, step.at, held, ok)
		}
	}
}

// TestHoldOffIsBounded reports more subjects than are remembered: one that is asked
// about again and again stays, and the least recent ones are forgotten.
func TestHoldOffIsBounded(t *testing.T) {
	h := newHoldOff()
	h.reports.Half = 10
	for i := range 1000 {
		h.due(fmt.Sprint("other ", i), time.Hour, int64(i))
		if _, ok := h.due("attacker", time.Hour, int64(i)); ok != (i == 0) {
			t.Fatalf("at %d the attacker is due: %t", i, ok)
		}
		if n := h.reports.Len(); n > 2*h.reports.Half {
			t.Fatalf("%d subjects are remembered", n)
		}
	}
	if _, ok := h.due("other 995", time.Hour, 1000); ok {
		t.Error("one of the latest is forgotten")
	}
	if _, ok := h.due("other 5", time.Hour, 1000); !ok {
		t.Error("one of the first is not forgotten")
	}
}

// TestHoldOffAgreesWithModel compares with a plain map, while there is room.
func TestHoldOffAgreesWithModel(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 11))
		h := newHoldOff()
		h.reports.Half = 8 // so that the halves change and no subject is forgotten
		last, repeated := map[string]int64{}, map[string]int{}
		now := int64(0)
		for step := range 300 {
			now += int64(rng.IntN(100)) - 5
			subject := fmt.Sprint(rng.IntN(8))
			at, known := last[subject]
			wantOK := !known || now-at >= 60 || at-now >= 60
			wantHeld := 0
			if wantOK {
				wantHeld = repeated[subject]
				last[subject], repeated[subject] = now, 0
			} else {
				repeated[subject]++
			}
			if held, ok := h.due(subject, 60*time.Microsecond, now); ok != wantOK || held != wantHeld {
				t.Fatalf("seed %d, step %d: %d, %t, want %d, %t", seed, step, held, ok, wantHeld, wantOK)
			}
		}
	}
}

func TestHoldOffSurvivesReload(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	old := NewSet([]*Spec{guessing(t)})
	old.Due(old.rules[0].spec, "1000@pbx", time.Hour, at)
	changed := guessing(t)
	changed.Threshold = nil // it counts something else now, under the same name
	renamed := guessing(t)
	renamed.Name = "renamed"
	s := NewSet([]*Spec{changed, renamed})
	s.Adopt(old)
	for i := range 3 {
		if _, ok := s.Due(changed, "1000@pbx", time.Hour, at.Add(time.Minute)); ok {
			t.Fatalf("due again, %d", i)
		}
	}
	if held, ok := s.Due(changed, "1000@pbx", time.Minute, at.Add(time.Minute)); !ok || held != 3 {
		t.Errorf("with a shorter time: %d, %t", held, ok)
	}
	if _, ok := s.Due(renamed, "1000@pbx", time.Hour, at.Add(time.Minute)); !ok {
		t.Error("a rule of another name is held back")
	}
	if held := s.Stats()[0].Held; held != 3 {
		t.Errorf("held %d", held)
	}
	if _, ok := s.Due(guessing(t), "1000@pbx", time.Hour, at); !ok {
		t.Error("a rule that is no longer in force is held back")
	}
}
