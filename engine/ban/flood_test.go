package ban

import (
	"errors"
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
			l.Enter(guesser(next, 1), t0)
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

// guesser is the order to ban the address of a number, for so many events.
func guesser(number uint32, events int) Order {
	a := netip.AddrFrom4([4]byte{100 + byte(number>>24), byte(number >> 16), byte(number >> 8), byte(number)})
	key := a.String()
	o := Order{
		Target: Address(a), Address: a, Rule: "guessing", Source: "log.freeswitch", Author: ByRule, Reason: "auth_failure from " + key, Key: key,
		At: t0, Terms: []Term{Term(time.Hour)}, Forget: 24 * time.Hour,
	}
	for range events {
		o.Evidence = append(o.Evidence, Evidence{Time: t0, Event: "auth_failure", Source: "log.freeswitch", IP: a, User: "1000", Domain: "pbx", Text: fmt.Sprintf("SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip %s", key)})
	}
	return o
}

// BenchmarkStart opens a file with 100,000 bans with evidence, and restores them.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	f := open(b, path)
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		b.Fatal(err)
	}
	for i := range uint32(100_000) {
		if l.Enter(guesser(i, 5), t0); i%10_000 == 9_999 {
			if _, err := l.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	f.Close()
	b.ReportAllocs()
	for b.Loop() {
		f, err := OpenFile(path)
		if err != nil {
			b.Fatal(err)
		}
		l := NewLedger(NewTrust(nil))
		if err := errors.Join(f.Verify(), l.Restore(f)); err != nil || l.Size() != 100_000 {
			b.Fatal(l.Size(), err)
		}
		if _, err := f.LoadPositions(); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
