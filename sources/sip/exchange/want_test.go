package exchange

import (
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/siptest"
)

// TestRequestsAgain has a request answered: it is reported again only if that is wanted.
func TestRequestsAgain(t *testing.T) {
	w := siptest.New(1, "10.77.0.10:5060", time.Unix(1_800_000_000, 0))
	w.Peer("203.0.113.7:5060", "1000", "phone").Ping()
	for _, test := range []struct {
		want  map[string]bool
		times int
	}{{nil, 2}, {map[string]bool{event.SIPRequest: true}, 1}, {map[string]bool{event.SIPRequest: true, event.SIPRequestAgain: true}, 2}, {map[string]bool{}, 0}} {
		table, n := New(Options{Want: test.want}), 0
		for i := range w.Packets {
			table.Take(&w.Packets[i], func(*event.Event) { n++ })
		}
		if n != test.times {
			t.Errorf("%v: %d reports, want %d", test.want, n, test.times)
		}
	}
}
