package ban

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

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
	if err := f.each(textsBucket, found.open); err != nil {
		t.Fatal(err)
	}
	if f.shelf.bytes != found.bytes || f.shelf.next != found.next || found.bytes == 0 {
		t.Errorf("%+v, in the file %+v", f.shelf, found)
	}
}
