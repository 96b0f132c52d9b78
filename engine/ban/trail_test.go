package ban

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSheets saves 200 bans at once: their texts share a few sheets, and each ban has its own.
func TestSheets(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	l := NewLedger(NewTrust(nil))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(200) {
		l.Enter(guesser(i, 2), t0)
	}
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	sheets := 0
	if err := each(f.db.View, textsBucket, func(_, _ []byte) error { sheets++; return nil }); err != nil || sheets < 2 || sheets > 20 {
		t.Errorf("%d sheets, %v", sheets, err)
	}
	for i := range uint32(200) {
		b, _ := l.Get(guesser(i, 2).Target)
		if got, want := l.Evidence(&b), guesser(i, 2).Evidence; !slices.EqualFunc(got, want, func(a, b Evidence) bool { return a.Text == b.Text && a.User == b.User }) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestShelf compares what is counted of the texts with what is in the file.
func TestShelf(t *testing.T) {
	f, err := OpenFile(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	b := Ban{Target: Address(netip.MustParseAddr("203.0.113.7")), Offence: 1, Term: Permanent, Start: now}
	for range 3 {
		b.Evidence = []Evidence{{Time: now, Event: "auth_failure", IP: b.Target.Prefix().Addr(), User: "1000", Text: "a line"}}
		if err := f.Save([]Record{{Target: b.Target, Ban: &b}}); err != nil {
			t.Fatal(err)
		}
	}
	var found shelf
	if err := each(f.db.View, textsBucket, func(key, value []byte) error { found.open(key, value); return nil }); err != nil {
		t.Fatal(err)
	}
	if f.shelf.bytes != found.bytes || f.shelf.next != found.next || found.bytes == 0 {
		t.Errorf("%+v, in the file %+v", f.shelf, found)
	}
}
