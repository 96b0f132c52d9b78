package ban

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// open opens the state file of a test.
func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// state is everything that a ledger knows, for comparison.
func state(l *Ledger) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[Target]struct{}{}
	for target := range l.bans.after(Target{}) {
		known[target] = struct{}{}
	}
	for target := range l.history {
		known[target] = struct{}{}
	}
	for target := range l.grace.after(Target{}) {
		known[target] = struct{}{}
	}
	for network := range l.grants.table.All() {
		known[Network(network)] = struct{}{}
	}
	var records []Record
	for target := range known {
		records = append(records, l.record(target))
	}
	return records
}

func sameState(t *testing.T, name string, want, got *Ledger) {
	t.Helper()
	byTarget := cmpopts.SortSlices(func(a, b Record) bool { return a.Target.Compare(b.Target) < 0 })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	targets := cmp.Comparer(func(a, b Target) bool { return a == b })
	addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if d := cmp.Diff(state(want), state(got), byTarget, prefixes, targets, addrs, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s: restored state differs (-want +got):\n%s", name, d)
	}
}

// TestRestoreAgreesWithWhatWasCommitted makes random changes to a ledger. After every
// commit it opens the file again, as the next start would.
func TestRestoreAgreesWithWhatWasCommitted(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path)
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	now := t0
	for step := range 150 {
		for range rng.IntN(6) {
			now = now.Add(time.Duration(rng.IntN(90)) * time.Second)
			a := netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(12))})
			if rng.IntN(4) == 0 {
				a = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(rng.IntN(4))})
			}
			p := netip.PrefixFrom(a, a.BitLen())
			l.Advance(now)
			if rng.IntN(6) == 0 {
				l.Unban(Network(p), "by hand", now, time.Duration(rng.IntN(2))*time.Minute)
				continue
			}
			if rng.IntN(12) == 0 {
				g := Trusted{Network: p, Name: "whitelist", Author: "api alice", Comment: "no", Since: now}
				if rng.IntN(2) == 0 {
					g.Until = now.Add(2 * time.Minute)
				}
				l.Grant(g, now)
				continue
			}
			if rng.IntN(12) == 0 {
				l.Revoke(p)
				continue
			}
			l.Enter(Order{
				Target: Network(p), Address: a, Rule: "r", Source: "log.x", Author: "rule", Reason: "5 in 10m", At: now,
				Terms: terms("1m", "5m", "permanent"), Forget: 10 * time.Minute, Actions: []string{"iptables.drop"},
				Evidence: []Evidence{{Time: now, Event: "auth_failure", Source: "log.x", IP: a, User: "10\x1b00", Text: "line"}},
			}, now)
		}
		if _, err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		f = open(t, path)
		again := NewLedger(NewTrust(nil))
		if err := again.Restore(f); err != nil {
			t.Fatal(err)
		}
		sameState(t, fmt.Sprintf("seed %d step %d", seed, step), l, again)
		l = again
	}
}

// TestDamageIsAnErrorNotAPanic flips bytes all over a state file.
func TestDamageIsAnErrorNotAPanic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	f := open(t, path)
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		o := order(fmt.Sprintf("203.0.%d.%d", i/250, i%250), t0, "1h")
		l.Enter(o, t0)
	}
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 200 {
		// A new name each time: a file that was given up may still be locked.
		path := fmt.Sprint(path, i)
		bent := append([]byte(nil), whole...)
		for range 1 + rng.IntN(400) {
			bent[rng.IntN(len(bent))] ^= byte(1 + rng.IntN(255))
		}
		if err := os.WriteFile(path, bent[:len(bent)-rng.IntN(2)*rng.IntN(len(bent))], 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err != nil {
			continue
		}
		restored := NewLedger(NewTrust(nil))
		_ = restored.Restore(f) // an error or not, but no panic, here and when it is used
		restored.Enter(order("192.0.2.1", t0, "1h"), t0)
		_, _ = restored.Commit()
		f.Close()
	}
}

// failing is a store on a full disk.
type failing struct{ full bool }

func (f *failing) Save([]Record) error {
	if f.full {
		return errors.New("no space left on device")
	}
	return nil
}
func (f *failing) Load(func(Record)) error { return nil }

func TestFullDiskStillProtects(t *testing.T) {
	disk := &failing{full: true}
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(disk); err != nil {
		t.Fatal(err)
	}
	c, eager := l.Cursor(false, Told), l.Cursor(true, Levels)
	mustBan(t, l, order("203.0.113.7", t0, "1h"))
	if _, err := l.Commit(); err == nil || !strings.Contains(err.Error(), "1 targets are not saved: no space left on device") {
		t.Fatalf("commit: %v", err)
	}
	for _, cursor := range []*Cursor{c, eager} {
		if changes, _ := cursor.Take(); len(changes) != 1 {
			t.Fatalf("%d changes passed on", len(changes))
		}
	}
	if len(l.dirty) != 1 {
		t.Fatal("what was not saved is not kept for the next commit")
	}
	disk.full = false
	if _, err := l.Commit(); err != nil || len(l.dirty) != 0 {
		t.Fatalf("commit with room again: %v, %d dirty", err, len(l.dirty))
	}
	if changes, _ := c.Take(); len(changes) != 0 {
		t.Fatalf("%d changes passed on twice", len(changes))
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := open(b, filepath.Join(b.TempDir(), "state.db"))
			l := NewLedger(NewTrust(nil))
			if err := l.Restore(f); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			next := uint32(0)
			for b.Loop() {
				b.StopTimer()
				for range n {
					next++
					a := netip.AddrFrom4([4]byte{100 + byte(next>>24), byte(next >> 16), byte(next >> 8), byte(next)})
					l.Enter(Order{Target: Address(a), Address: a, Rule: "r", At: t0, Terms: []Term{Term(time.Hour)}}, t0)
				}
				b.StartTimer()
				if _, err := l.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEnter(b *testing.B) {
	l := NewLedger(NewTrust(nil))
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		l.Enter(Order{Target: Address(a), Address: a, Rule: "r", At: t0, Terms: []Term{Term(time.Hour)}}, t0)
	}
}

// A slow disk blocks in Save until letGo yields.
type slow struct {
	failing
	saving, letGo chan struct{}
}

func (s *slow) Save([]Record) error {
	s.saving <- struct{}{}
	<-s.letGo
	return nil
}

// TestTheFirewallDoesNotWaitForTheDisk reads both kinds of cursors while a ban is
// being saved.
func TestTheFirewallDoesNotWaitForTheDisk(t *testing.T) {
	disk := &slow{saving: make(chan struct{}), letGo: make(chan struct{})}
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(disk); err != nil {
		t.Fatal(err)
	}
	firewall, webhook := l.Cursor(true, Levels), l.Cursor(false, Told)
	mustBan(t, l, order("203.0.113.7", t0, "1h"))
	committed := make(chan error)
	go func() {
		_, err := l.Commit()
		committed <- err
	}()
	<-disk.saving
	if changes, _ := firewall.Take(); len(changes) != 1 {
		t.Error("the firewall waits for the disk")
	}
	if changes, _ := webhook.Take(); len(changes) != 0 {
		t.Error("a ban is passed on that is not durable yet")
	}
	if bans, _, _ := firewall.Snapshot(); len(bans) != 1 {
		t.Error("the ledger cannot be read while it is saved")
	}
	close(disk.letGo)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	if changes, _ := webhook.Take(); len(changes) != 1 {
		t.Error("a durable ban is not passed on")
	}
}
