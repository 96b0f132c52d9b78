package dbfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestWhatIsWrongIsTold(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	f, err := Open(good, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(good, time.Millisecond); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), good) {
		t.Errorf("a file in use: %v", err)
	}
	noise := filepath.Join(dir, "noise.db")
	if err := os.WriteFile(noise, []byte(strings.Repeat("not a database ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(noise, time.Second); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), noise) {
		t.Errorf("a file of noise: %v", err)
	}
	aside, err := MoveAside(noise, time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC))
	if err != nil || !strings.HasSuffix(aside, ".damaged-20260504T100000Z") {
		t.Errorf("moved aside to %q, %v", aside, err)
	}
	if _, err := Open(filepath.Join(dir, "missing", "a.db"), time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// TestDamageIsFinal: a file in which a transaction panicked is not touched again,
// and closing it does not wait for the locks that bbolt still holds.
func TestDamageIsFinal(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "a.db"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Update(func(*bbolt.Tx) error { panic("page 7: already freed") }); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "page 7") {
		t.Errorf("%v", err)
	}
	untouched := func(*bbolt.Tx) error {
		t.Error("it is touched again")
		return nil
	}
	for _, err := range []error{f.Update(untouched), f.View(untouched)} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Errorf("told a second time: %v", err)
	}
}
