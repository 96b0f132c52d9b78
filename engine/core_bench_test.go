package engine_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// inMemory is a source whose events are made one by one.
type inMemory struct {
	plugin.Source
	n    int
	make func(i int) *event.Event
}

func (m inMemory) Replay(_ context.Context, _ plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	for i := range m.n {
		if err := emit(m.make(i)); err != nil {
			return plugin.Stats{}, err
		}
	}
	return plugin.Stats{}, nil
}

// BenchmarkEvent is one event through the shipped rules, with all that the engine does besides: of the
// event socket, 5,000 a second, by what it reports.
func BenchmarkEvent(b *testing.B) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	ofStream := func(i int, name string, from int, fields map[string]string) *event.Event {
		return &event.Event{
			Time: start.Add(time.Duration(i) * 200 * time.Microsecond), Name: name, Source: "esl.pbx",
			IP: netip.AddrFrom4([4]byte{64 + byte(from>>24), byte(from >> 16), byte(from >> 8), byte(from)}), Port: 5060, Profile: "internal",
			Method: "REGISTER", User: fmt.Sprint(1000 + from%1000), Domain: "pbx.example.com", UserAgent: fmt.Sprint("Yealink SIP-T46S 66.84.0.", from%10),
			UUID: fmt.Sprint("f1a7c6de-", i), Fields: fields,
		}
	}
	for name, one := range map[string]struct {
		make func(i int) *event.Event
		bans int
	}{
		"challenge": {make: func(i int) *event.Event { return ofStream(i, event.Challenge, i%20_000, nil) }},
		"failure":   {make: func(i int) *event.Event { return ofStream(i, event.AuthFailure, i<<8, nil) }},
		"success":   {make: func(i int) *event.Event { return ofStream(i, event.AuthSuccess, i%20_000, nil) }},
		"banned":    {bans: 1, make: func(i int) *event.Event { return ofStream(i, event.AuthFailure, 1, nil) }},
		"call": {make: func(i int) *event.Event {
			ev := ofStream(i, event.Call, i%15_000, map[string]string{"variable_sip_authorized": "true"})
			ev.User, ev.Destination = fmt.Sprint(i%15_000), "1001"
			return ev
		}},
		"call abroad": {make: func(i int) *event.Event {
			ev := ofStream(i, event.CallAnswered, i%15_000, map[string]string{"variable_sip_authorized": "true"})
			ev.User, ev.Destination = fmt.Sprint(i%15_000), "+442079460018"
			return ev
		}},
	} {
		b.Run(name, func(b *testing.B) {
			e := engine.New(shippedRules(b), engine.Options{})
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := e.Replay(b.Context(), []engine.Input{{Ref: "esl.pbx", Source: inMemory{n: b.N, make: one.make}}}, nil); err != nil {
				b.Fatal(err)
			}
			if n := e.Ledger().Size(); n > one.bans {
				b.Errorf("%d are banned", n)
			}
		})
	}
}
