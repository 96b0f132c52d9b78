package learn

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestManyAddresses keeps those who registered, and the busiest, where more
// addresses come than are remembered.
func TestManyAddresses(t *testing.T) {
	r := record(t, guessing(t))
	r.limit = 1000
	r.office("203.0.113.7")
	for i := range 10_000 {
		r.fail(fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff), "100", 1)
	}
	f := r.Conclude()
	if len(r.addresses) > r.limit || f.Addresses < 10_001 || f.Forgotten != int64(f.Addresses-len(r.addresses)) {
		t.Errorf("%d addresses remembered; %+v", len(r.addresses), f)
	}
	if f.Well != 1 {
		t.Error("the office was forgotten")
	}
}

// TestMemory fills records to their bounds, and holds what they take against what
// the package promises for as many as it remembers.
func TestMemory(t *testing.T) {
	const addresses, promised = 10_000, 300 << 20
	names := make([]string, maxFailed)
	for i := range names {
		names[i] = fmt.Sprintf("a name of some length, number %02d of %d of them", i, maxFailed)
	}
	var before, after runtime.MemStats
	r := record(t, rulesOf(t)...)
	r.measure.budget = budget * addresses / maxAddresses
	r.limit = addresses + 1
	r.fail("203.0.113.7", "100", 1) // the rules' evidence, which is of a fixed size, comes with the first
	runtime.GC()
	runtime.ReadMemStats(&before)
	ip := netip.MustParseAddr("10.0.0.0")
	for i := range addresses {
		ip = ip.Next()
		for j, name := range names {
			ev := &event.Event{
				Time: start.Add(time.Duration(i) * time.Second), Source: stream, IP: ip,
				Name: []string{event.Call, event.AuthFailure}[j&1], User: name, Destination: name, UserAgent: name,
			}
			r.Note(ev)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) * maxAddresses / addresses
	t.Logf("%d MB for %d addresses like %d of these", grown>>20, maxAddresses, len(r.addresses))
	if len(r.addresses) != r.limit || grown > promised {
		t.Errorf("%d MB, promised are %d", grown>>20, promised>>20)
	}
}

// BenchmarkNote is the price of one event beside that of the rules.
func BenchmarkNote(b *testing.B) {
	r := record(b, guessing(b))
	ev := failure(r, "10.0.0.0")
	b.ReportAllocs()
	for i := range b.N {
		if i%1000 == 0 {
			ev.IP = ev.IP.Next()
		}
		ev.Time = ev.Time.Add(time.Millisecond)
		r.Note(ev)
	}
}
