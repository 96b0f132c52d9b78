package dbfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func TestWhatIsWrongIsTold(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	f, err := Open(good, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(good, time.Millisecond, nil); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), good) {
		t.Errorf("a file in use: %v", err)
	}
	noise := filepath.Join(dir, "noise.db")
	if err := os.WriteFile(noise, []byte(strings.Repeat("not a database ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(noise, time.Second, nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), noise) {
		t.Errorf("a file of noise: %v", err)
	}
	aside, err := MoveAside(noise, time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC))
	if err != nil || !strings.HasSuffix(aside, ".damaged-20260504T100000Z") {
		t.Errorf("moved aside to %q, %v", aside, err)
	}
	if _, err := Open(filepath.Join(dir, "missing", "a.db"), time.Second, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// TestDamageIsFinal: a file in which a transaction panicked is not touched again,
// and closing it does not wait for the locks that bbolt still holds.
func TestDamageIsFinal(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "a.db"), time.Second, nil)
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

// FuzzVerify changes a database: what is found whole can be read, to the end.
func FuzzVerify(f *testing.F) {
	whole := filled(f)
	f.Add(uint32(16), []byte{0}, uint32(len(whole)))
	f.Add(uint32(3*os.Getpagesize()+10), []byte{1, 0}, uint32(len(whole)))
	f.Add(uint32(0), []byte(nil), uint32(5000))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, length uint32) {
		content := bytes.Clone(whole[:min(int(length), len(whole))])
		if int(at) < len(content) {
			copy(content[at:], change)
		}
		path := filepath.Join(t.TempDir(), "a.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(path, time.Second, nil)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		defer db.Close()
		n := 0
		err = db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
				return b.ForEach(func(_, _ []byte) error {
					n++
					return nil
				})
			})
		})
		if err != nil || n != 601 {
			t.Errorf("%d values, %v", n, err)
		}
	})
}

// filled returns a database of two levels, a small bucket, a value of several pages and free pages.
func filled(tb testing.TB) []byte {
	path := filepath.Join(tb.TempDir(), "a.db")
	db, err := Open(path, time.Second, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 3 {
		err := db.Update(func(tx *bbolt.Tx) error {
			small, err1 := tx.CreateBucketIfNotExists([]byte("small"))
			large, err2 := tx.CreateBucketIfNotExists([]byte("large"))
			if err := errors.Join(err1, err2, small.Put([]byte("a"), []byte{byte(i)})); err != nil {
				return err
			}
			for n := range 200 {
				if err := large.Put(fmt.Appendf(nil, "%d %d", n, i), bytes.Repeat([]byte{byte(n)}, 1+n*n%90)); err != nil {
					return err
				}
			}
			return large.Put([]byte("0 0"), bytes.Repeat([]byte{7}, 3*os.Getpagesize()))
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// TestLittleAddressSpace: a process that has less of it than a file is mapped with opens the file all the same.
func TestLittleAddressSpace(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	var used uint64 // pages
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &used)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, scarce := filepath.Join(t.TempDir(), "state.db"), before
	scarce.Cur = used*uint64(os.Getpagesize()) + mapped/2
	if err := unix.Setrlimit(unix.RLIMIT_AS, &scarce); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, time.Second, nil)
	if err := errors.Join(err, unix.Setrlimit(unix.RLIMIT_AS, &before)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
