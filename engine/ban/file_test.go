package ban

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"
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
	for target := range l.grants.table.after(Target{}) {
		known[target] = struct{}{}
	}
	var records []Record
	for target := range known {
		records = append(records, l.record(target, new(Ban)))
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
				g := Trusted{Target: Network(p), Name: "whitelist", Author: "api alice", Comment: "no", Since: now}
				if rng.IntN(2) == 0 {
					g.Until = now.Add(2 * time.Minute)
				}
				l.Grant(g, now)
				continue
			}
			if rng.IntN(12) == 0 {
				l.Revoke(Network(p))
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

// damages are what disks, copies and other programs do to a file of pages.
var damages = map[string]func(*rand.Rand, []byte) []byte{
	"truncated": func(rng *rand.Rand, file []byte) []byte { return file[:rng.IntN(len(file))] },
	"a bit flipped": func(rng *rand.Rand, file []byte) []byte {
		file[rng.IntN(len(file))] ^= 1 << rng.IntN(8)
		return file
	},
	"a bit flipped at the beginning of a page": func(rng *rand.Rand, file []byte) []byte {
		page(rng, file)[rng.IntN(64)] ^= 1 << rng.IntN(8)
		return file
	},
	"bytes changed": func(rng *rand.Rand, file []byte) []byte {
		for range 1 + rng.IntN(400) {
			file[rng.IntN(len(file))] ^= byte(1 + rng.IntN(255))
		}
		return file
	},
	"zeroed pages": func(rng *rand.Rand, file []byte) []byte {
		for range 1 + rng.IntN(3) {
			clear(page(rng, file))
		}
		return file
	},
	"swapped pages": func(rng *rand.Rand, file []byte) []byte {
		a, b := page(rng, file), page(rng, file)
		kept := slices.Clone(a)
		copy(a, b)
		copy(b, kept)
		return file
	},
	"a page twice": func(rng *rand.Rand, file []byte) []byte {
		copy(page(rng, file), page(rng, file))
		return file
	},
	"garbage appended": func(rng *rand.Rand, file []byte) []byte {
		for range 1 + rng.IntN(9000) {
			file = append(file, byte(rng.Uint32()))
		}
		return file
	},
}

func page(rng *rand.Rand, file []byte) []byte {
	size := os.Getpagesize()
	return file[rng.IntN(len(file)/size)*size:][:size]
}

// TestDamages damages a state file in some hundred ways, or in as many as $DAMAGES says. Either all of it is restored, or the
// damage is an error; what is restored beside an error is what was saved.
func TestDamages(t *testing.T) {
	const seed = 5
	trials := 300
	if n, err := strconv.Atoi(os.Getenv("DAMAGES")); err == nil {
		trials = n
	}
	dir := t.TempDir()
	whole, want := stateFile(t, filepath.Join(dir, "state.db"))
	rng := rand.New(rand.NewPCG(seed, 0))
	names := slices.Sorted(maps.Keys(damages))
	told := map[string]int{}
	for i := range trials {
		name := names[i%len(names)]
		path := filepath.Join(dir, fmt.Sprint(i)) // a new one: a file that was given up may still be locked
		if err := os.WriteFile(path, damages[name](rng, slices.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err != nil {
			if !errors.Is(err, dbfile.ErrDamaged) {
				t.Fatalf("seed %d trial %d, %s: %v", seed, i, name, err)
			}
			told[name]++
			continue
		}
		got := contents(t, f)
		if damage := f.Verify(); damage != nil {
			told[name]++
			for key, value := range got {
				if want[key] != value && value != "" { // a text may be lost
					t.Fatalf("seed %d trial %d, %s: %q is altered: %s", seed, i, name, key, value)
				}
			}
		} else if !maps.Equal(want, got) || f.New() {
			t.Fatalf("seed %d trial %d, %s: not restored, and not told (-want +got):\n%s", seed, i, name, cmp.Diff(want, got))
		}
		f.Close()
		os.Remove(path)
	}
	for _, name := range names {
		if few := trials / len(names) / 5; told[name] < few && name != "garbage appended" {
			t.Errorf("%s: told %d times", name, told[name])
		}
	}
	t.Log(told)
}

// stateFile returns a state file with free pages, and what is in it.
func stateFile(t *testing.T, path string) ([]byte, map[string]string) {
	t.Helper()
	f := open(t, path)
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		a := fmt.Sprintf("203.0.%d.%d", i/200, i*7%200)
		o := order(a, t0, "1h")
		o.Evidence = []Evidence{{Time: t0, Event: "auth_failure", Source: "log.a", IP: o.Address, User: "1000", Text: a}}
		l.Enter(o, t0)
		if i%3 == 0 {
			l.Unban(Address(netip.MustParseAddr(a)), "by hand", t0, time.Minute)
		}
		if i%40 != 39 {
			continue
		}
		if _, err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := f.SavePositions(map[string][]byte{"log.a": []byte(a), "log.b": {byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	want := contents(t, f)
	f.Close()
	whole, err := os.ReadFile(path)
	if err != nil || len(want) != 402+2*266 {
		t.Fatalf("%d values, %v", len(want), err)
	}
	return whole, want
}

// TestFormerFormat reads a file in which evidence stands in the records, whose checksums do not
// cover the keys.
func TestFormerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, golden.Read(t, "testdata/records.5.db.gz"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is copied, and read again
		f := open(t, path)
		l := NewLedger(NewTrust(nil))
		if err := errors.Join(f.Verify(), l.Restore(f)); err != nil || f.New() || l.Size() != 3 {
			t.Fatalf("%d bans, new %t, %v", l.Size(), f.New(), err)
		}
		for _, a := range []string{"203.0.113.0", "203.0.113.1"} {
			b, _ := l.Covering(Address(netip.MustParseAddr(a)))
			want := []Evidence{
				{Time: t0.Add(-time.Minute), Event: "auth_failure", Source: "log.a", IP: netip.MustParseAddr(a), User: "1000", Domain: "pbx", Text: "first"},
				{Time: t0, Event: "unknown_user", Source: "log.a", IP: netip.MustParseAddr(a), User: "1001", Domain: "pbx", Text: "second", Proven: true},
			}
			if got := l.Evidence(&b); !slices.Equal(got, want) || !b.Until.Equal(t0.Add(time.Hour)) {
				t.Errorf("%+v, evidence %+v", b, got)
			}
		}
		if r := l.record(Address(netip.MustParseAddr("203.0.113.2")), new(Ban)); !r.Grace.Equal(t0.Add(time.Minute)) {
			t.Errorf("a grace until %s", r.Grace)
		}
		if positions, err := f.LoadPositions(); string(positions["log.a"]) != "far" || err != nil {
			t.Errorf("positions %q, %v", positions, err)
		}
		f.Close()
	}
}

// TestUndecodable: a record that is whole and that this program cannot decode is told of. It stays in the
// file, and the others are restored.
func TestUndecodable(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state.db"))
	grace := Record{Target: Address(netip.MustParseAddr("203.0.113.7")), Grace: t0}
	later := Record{Target: Address(netip.MustParseAddr("203.0.113.9")), Grace: t0}
	if err := f.Save([]Record{grace, later}); err != nil {
		t.Fatal(err)
	}
	key := recordKey(Address(netip.MustParseAddr("203.0.113.8")))
	err := f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(recordsBucket).Put(key, sealed(key, []byte{0x93, 1, 2})) })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l := NewLedger(NewTrust(nil))
		if err := l.Restore(f); err == nil || !strings.Contains(err.Error(), "1 records cannot be decoded, the first: record 20cb007108") || l.grace.size() != 2 || f.Verify() != nil {
			t.Fatalf("%d graces, %v", l.grace.size(), err)
		}
	}
}

// contents are the records and positions of a file.
func contents(t *testing.T, f *File) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := f.Load(func(r Record) {
		text, a := fmt.Sprintf("%+v", r), r.Target.String()
		if r.Ban != nil {
			text += fmt.Sprintf("%+v", *r.Ban)
			text = strings.ReplaceAll(text, fmt.Sprintf("%p", r.Ban), "")
			for _, e := range f.Evidence(r.Ban) {
				all["trail of "+a] += fmt.Sprintf("%s %s %s %s", e.Time, e.Event, e.Source, e.IP)
				all["text of "+a] += e.User + e.Text
			}
		}
		all[a] = text
	})
	positions, failed := f.LoadPositions()
	for source, position := range positions {
		all[source] = fmt.Sprintf("%x", position)
	}
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return all
}

// failing is a store on a full disk.
type failing struct{ full bool }

func (f *failing) Save([]Record) error {
	if f.full {
		return errors.New("no space left on device")
	}
	return nil
}
func (f *failing) Load(func(Record)) error  { return nil }
func (f *failing) Evidence(*Ban) []Evidence { return nil }

func TestFullDiskStillProtects(t *testing.T) {
	disk := &failing{full: true}
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(disk); err != nil {
		t.Fatal(err)
	}
	c, eager := l.Cursor(false, Told), l.Cursor(true, Levels)
	mustBan(t, l, accused(7))
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
	if l.unsaved.count != 0 || l.room.bans[0].Evidence != nil {
		t.Errorf("the evidence of %d bans that are saved stays in memory", l.unsaved.count)
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
