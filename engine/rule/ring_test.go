package rule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
)

// TestRing compares a small ring with a list of everything added: what it returns is
// right, it overwrites the oldest, and no more than its size requires.
func TestRing(t *testing.T) {
	const size = 8 << 10
	r := newRing(size)
	random := rand.New(rand.NewPCG(1, 2))
	type kept struct {
		place uint64
		ev    *event.Event
	}
	var all []kept
	for i := range 2000 {
		ev := &event.Event{User: fmt.Sprint("user", i), Text: strings.Repeat("x", random.IntN(event.MaxText+200))}
		switch i % 3 {
		case 1:
			ev.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		case 2:
			ev.IP = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))
		}
		all = append(all, kept{r.add(ev), ev})
	}
	oldest := len(all)
	for i, k := range all {
		got, ok := r.at(k.place)
		if !ok {
			if oldest < i {
				t.Fatalf("%d is kept, %d is forgotten", oldest, i)
			}
			continue
		}
		oldest = min(oldest, i)
		if got.IP != k.ev.IP || got.User != k.ev.User || got.Text != k.ev.Text[:min(len(k.ev.Text), event.MaxText)] {
			t.Fatalf("%d: got %+v, want %+v", i, got, k.ev)
		}
	}
	// Lost are less than a record at the end of the buffer, and one overwritten partly.
	if n := len(all) - oldest; n < size/(recordHeader+event.MaxText+event.MaxField)-2 {
		t.Fatalf("only %d are kept", n)
	}
	if start := all[oldest].place - 1; oldest > 0 && r.written-(all[oldest-1].place-1) <= size || r.written-start > size {
		t.Fatal("kept is not exactly what was not overwritten")
	}
	if _, ok := r.at(0); ok {
		t.Error("0 is a place")
	}
	if _, ok := r.at(r.written + 1); ok {
		t.Error("a future place is valid")
	}
}

// TestSourceOfARecord: who keeps the source of an event alone, as the ledger does when it gives up texts, keeps no text.
func TestSourceOfARecord(t *testing.T) {
	const events = 1000
	r := newRing(64 << 10)
	sources := make([]string, 0, events)
	before := golden.Heap()
	for range events {
		e, ok := r.at(r.add(&event.Event{Node: "a", Source: "esl.pbx", User: "1000", Text: strings.Repeat("x", event.MaxText)}))
		if !ok || e.Source != "a/esl.pbx" || e.User != "1000" || len(e.Text) != event.MaxText {
			t.Fatalf("%+v", e)
		}
		sources = append(sources, e.Source)
	}
	if kept := (golden.Heap() - before) / events; kept > 200 {
		t.Errorf("%d bytes are kept for each source", kept)
	}
	runtime.KeepAlive(sources)
}
