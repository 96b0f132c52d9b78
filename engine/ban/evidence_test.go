package ban

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/golden"
)

// accused returns an order with evidence of 20 events, the last at t0.
func accused(i int) Order {
	a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
	o := Order{
		Target: Address(a), Address: a, Rule: "guessing", Source: "log.a", Author: ByRule, Key: a.String(),
		Reason: fmt.Sprintf("20 in 10m, per ip %s", a), At: t0, Terms: terms("1h", "1d"), Forget: 24 * time.Hour,
	}
	for k := range 20 {
		o.Evidence = append(o.Evidence, Evidence{
			Time: t0.Add(time.Duration(k-19) * 1234567 * time.Microsecond), Event: "auth_failure", Source: "log.a", IP: a, User: fmt.Sprint(1000 + k), Domain: "pbx.example",
			Text: fmt.Sprintf("SIP auth failure (REGISTER) on sofia profile 'internal' for [%d@pbx.example] from ip %s %s", 1000+k, a, strings.Repeat("x", 100)),
		})
	}
	return o
}

// TestEvidenceIsBounded bans more addresses than there is room for texts: the oldest texts are
// given up, and nothing else.
func TestEvidenceIsBounded(t *testing.T) {
	const bans = 10_000
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path)
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	before := golden.Heap()
	for i := range bans {
		l.Enter(accused(i), t0)
		if i%500 == 499 {
			if _, err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if h, _ := l.bans.get(accused(bans - 1).Target); h.unsaved != nil || len(l.unsaved.queue) > 1024 {
		t.Errorf("what is saved stays in memory: %v, a queue of %d", h.unsaved, len(l.unsaved.queue))
	}
	if live := golden.Heap() - before; live > bans*1000 {
		t.Errorf("%d bytes in memory for a ban", live/bans)
	}
	if file, err := os.Stat(path); err != nil || file.Size() > maxTexts*3/2+bans*1000 {
		t.Errorf("a file of %d bytes, %v", file.Size(), err)
	}
	l.Step(time.Hour) // the evidence is shifted with its bans
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	f = open(t, path)
	restored := NewLedger(NewTrust(nil))
	if err := restored.Restore(f); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*Ledger{"live": l, "restored": restored} {
		if name == "live" {
			l.store = f
		}
		texts := 0
		for i := range bans {
			o := accused(i)
			b, _ := l.Covering(o.Target)
			got := l.Evidence(&b)
			if len(got) > 0 && !got[0].Lost {
				texts++
			} else if texts > 0 {
				t.Fatalf("%s: the texts of ban %d are lost, and older ones are not", name, i)
			}
			for k := range o.Evidence {
				if o.Evidence[k].Time = o.Evidence[k].Time.Add(time.Hour); texts == 0 {
					o.Evidence[k] = o.Evidence[k].without()
				}
			}
			if !slices.Equal(got, o.Evidence) {
				t.Fatalf("%s: ban %d: %+v, want %+v", name, i, got, o.Evidence)
			}
		}
		if texts < 2000 || texts > 6000 {
			t.Errorf("%s: %d bans with texts", name, texts)
		}
	}
	runtime.KeepAlive(l)
}

// TestUnsavedTextsAreBounded: without a store, the oldest texts are given up, too.
func TestUnsavedTextsAreBounded(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	for i := range 5000 {
		l.Enter(accused(i), t0)
	}
	first, _ := l.Covering(accused(0).Target)
	last, _ := l.Covering(accused(4999).Target)
	if e := l.Evidence(&first); len(e) != 20 || !e[0].Lost || e[0].Text != "" || e[0].IP != first.Target.Prefix().Addr() {
		t.Errorf("the first: %+v", e)
	}
	if e := l.Evidence(&last); !slices.Equal(e, accused(4999).Evidence) {
		t.Errorf("the last: %+v", e)
	}
	if l.unsaved.bytes > maxUnsavedText {
		t.Errorf("%d bytes of texts", l.unsaved.bytes)
	}
	l.Unban(last.Target, "", t0, 0)
	sum := 0
	for _, p := range l.unsaved.queue {
		sum += textBytes(p.evidence)
	}
	if sum != l.unsaved.bytes || l.unsaved.count != 4999 {
		t.Errorf("%d bytes, counted %d", sum, l.unsaved.bytes)
	}
	if l.Step(time.Hour); !l.Evidence(&first)[0].Time.Equal(accused(0).Evidence[0].Time.Add(time.Hour)) {
		t.Error("a step of the clock leaves out evidence without texts")
	}
}

// TestSlowReaderKeepsLittle: a reader far behind keeps the firing event of each ban.
func TestSlowReaderKeepsLittle(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	slow, eager := l.Cursor(false, Told), l.Cursor(true, Levels)
	for i := range maxPendingEvidence + 10 {
		l.Enter(accused(i), t0)
		if i%7 == 0 {
			_, _ = l.Commit()
		}
	}
	_, _ = l.Commit()
	changes, _ := slow.Take()
	for i, c := range changes {
		want := accused(i).Evidence
		if i < 10 {
			want = want[19:]
			want[0].Text, want[0].Lost = "", true
		}
		if !slices.Equal(c.Evidence, want) {
			t.Fatalf("change %d: %+v", i, c.Evidence)
		}
	}
	if changes, _ := eager.Take(); len(changes) != maxPendingEvidence+10 || len(changes[0].Evidence) != 1 {
		t.Error("an eager reader keeps more")
	}
}
