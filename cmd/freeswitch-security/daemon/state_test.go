package daemon

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
)

// TestLostState distinguishes a missing state, one without bans, and damaged ones.
func TestLostState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "state.db")
	log := slog.New(slog.DiscardHandler)
	opened := func(name string, isNew, damaged bool) *ban.File {
		t.Helper()
		file, damage, err := openState(path, log)
		if err != nil || file.New() != isNew || errors.Is(damage, dbfile.ErrDamaged) != damaged {
			t.Fatalf("%s: new %t, damage %v, %v", name, file.New(), damage, err)
		}
		return file
	}
	opened("missing", true, false).Close()
	file := opened("never saved to", true, false)
	one := ban.Record{Target: ban.Address(netip.MustParseAddr("203.0.113.7")), Offences: 1}
	if err := file.Save([]ban.Record{one}); err != nil {
		t.Fatal(err)
	}
	file.Close()
	file = opened("whole", false, false)
	if err := file.Save([]ban.Record{{Target: one.Target}}); err != nil {
		t.Fatal(err)
	}
	file.Close()
	opened("without bans", false, false).Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": nil, "short": whole[:100], "truncated": whole[:len(whole)/2], "zeros": make([]byte, 1<<16),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		opened(name, true, true).Close()
		aside, _ := filepath.Glob(path + ".damaged-*")
		if len(aside) == 0 {
			t.Errorf("%s: not moved aside", name)
		}
	}
}

// TestRescue: what can be read of a damaged state is kept.
func TestRescue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, _, err := openState(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i := range 3 {
		if err := file.Save([]ban.Record{{Target: ban.Address(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})), Grace: until}}); err != nil {
			t.Fatal(err)
		}
	}
	file.Close()
	flip(t, path, []byte{203, 0, 113, 1})
	file, damage, err := openState(path, slog.New(slog.DiscardHandler))
	if err != nil || damage == nil {
		t.Fatalf("damage %v, %v", damage, err)
	}
	defer file.Close()
	left := 0
	if err := file.Load(func(r ban.Record) { left++ }); err != nil || left != 2 || file.Verify() != nil {
		t.Errorf("%d records left, %v", left, err)
	}
}

// flip changes the last byte of a text wherever it stands in a file.
func flip(t *testing.T, path string, text []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+len(text) <= len(content); i++ {
		if string(content[i:i+len(text)]) == string(text) {
			content[i+len(text)] ^= 1
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
