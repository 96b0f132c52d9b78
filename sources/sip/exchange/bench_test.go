package exchange

import (
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

// wanted are events that the shipped rules name.
func wanted() map[string]bool {
	want := map[string]bool{}
	for _, name := range []string{
		event.Challenge, event.AuthFailure, event.AuthSuccess, event.Registered, event.Unregistered, event.Call,
		event.SIPRequest, event.SIPMalformed, event.NotSIP, event.Dialogue,
	} {
		want[name] = true
	}
	return want
}

// BenchmarkTake takes the packets of a busy switch, and of a recording again and again.
func BenchmarkTake(b *testing.B) {
	busy := make([]packet.Packet, 0, 20_000)
	for p := range siptest.Busy(1, 2000, 10_000, time.Unix(1_800_000_000, 0)) {
		if busy = append(busy, p); len(busy) == cap(busy) {
			break
		}
	}
	for _, bench := range []struct {
		name string
		all  []packet.Packet
		want map[string]bool
	}{{"busy", busy, wanted()}, {"recording", recording(b), wanted()}, {"nothing", busy, map[string]bool{}}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			table := New(Options{Want: bench.want})
			events, before := 0, processorTime(b)
			for i := 0; b.Loop(); i++ {
				p := bench.all[i%len(bench.all)]
				p.Time = p.Time.Add(time.Duration(i/len(bench.all)) * time.Minute)
				table.Take(&p, func(*event.Event) { events++ })
			}
			b.ReportMetric(float64(events)/float64(b.N), "events/op")
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what the process has used, in nanoseconds: other processes do not add to it.
func processorTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
