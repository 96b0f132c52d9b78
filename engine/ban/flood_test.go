package ban

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkFlood bans 10,000 addresses with evidence, in commits of 2,000, for a level and another action.
func BenchmarkFlood(b *testing.B) {
	const bans, commit = 10_000, 2_000
	f := open(b, filepath.Join(b.TempDir(), "state.db"))
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		b.Fatal(err)
	}
	cursors := []*Cursor{l.Cursor(true, Levels), l.Cursor(false, Told)}
	b.ReportAllocs()
	next := uint32(0)
	for b.Loop() {
		for range bans {
			next++
			a := netip.AddrFrom4([4]byte{100 + byte(next>>24), byte(next >> 16), byte(next >> 8), byte(next)})
			key := a.String()
			l.Enter(Order{
				Target: Address(a), Address: a, Rule: "guessing", Source: "log.freeswitch", Author: ByRule, Reason: "auth_failure from " + key, Key: key,
				At: t0, Terms: []Term{Term(time.Hour)}, Forget: 24 * time.Hour,
				Evidence: []Evidence{{Time: t0, Event: "auth_failure", Source: "log.freeswitch", IP: a, User: "1000", Domain: "pbx", Text: fmt.Sprintf("SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip %s", key)}},
			}, t0)
			if next%commit == 0 {
				l.Publish()
				if _, err := l.Commit(); err != nil {
					b.Fatal(err)
				}
				for _, c := range cursors {
					c.Take()
				}
			}
		}
	}
}
