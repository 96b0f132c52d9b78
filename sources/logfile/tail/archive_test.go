package tail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"freeswitch-security/sources/logfile/logtest"
)

// gzip compresses a file as gzip and logrotate do: with the times of the original, which
// is then deleted.
func (l *logger) gzip(path string) {
	l.T.Helper()
	info, err := os.Stat(path)
	l.Must(err)
	data, err := os.ReadFile(path)
	l.Must(err)
	l.Must(os.WriteFile(path+".gz", zipped(data), 0o600))
	l.Must(os.Chtimes(path+".gz", info.ModTime(), info.ModTime()))
	l.Must(os.Remove(path))
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // a buffer cannot fail
	_ = w.Close()
	return b.Bytes()
}

// rotate renames the log, opens a new one and writes to it.
func (l *logger) rotate(name string, lines int) {
	l.T.Helper()
	l.Must(os.Rename(l.Path, l.Path+name))
	l.Open()
	l.Lines(lines)
}

// TestArchived stops a follower behind 100 lines, rotates and compresses the log, and checks
// that what was written meanwhile is read once and in order.
func TestArchived(t *testing.T) {
	for _, test := range []struct {
		name   string
		rotate func(l *logger)
	}{
		{"once", func(l *logger) {
			l.rotate(".1", 10)
			l.gzip(l.Path + ".1")
		}},
		{"nothing follows", func(l *logger) {
			l.rotate(".1", 0)
			l.gzip(l.Path + ".1")
		}},
		{"no new file yet", func(l *logger) {
			l.Must(os.Rename(l.Path, l.Path+".1"))
			l.gzip(l.Path + ".1")
		}},
		{"several, the newest not yet compressed", func(l *logger) {
			l.rotate(".3", 3000)
			l.gzip(l.Path + ".3")
			l.rotate(".2", 3000)
			l.gzip(l.Path + ".2")
			l.rotate(".1", 10)
		}},
		{"dated", func(l *logger) {
			l.rotate("-20260504", 10)
			l.gzip(l.Path + "-20260504")
			l.rotate("-20260505", 10)
			l.gzip(l.Path + "-20260505")
		}},
		{"dated before the extension", func(l *logger) {
			old := strings.TrimSuffix(l.Path, ".log") + "-20260504.log"
			l.Must(os.Rename(l.Path, old))
			l.Open()
			l.Lines(10)
			l.gzip(old)
		}},
		{"copied and truncated", func(l *logger) {
			l.Must(exec.Command("cp", l.Path, l.Path+".1").Run())
			l.Must(os.Truncate(l.Path, 0))
			l.gzip(l.Path + ".1")
			l.Lines(10)
		}},
		{"while it is compressed, both are there", func(l *logger) {
			l.Must(exec.Command("cp", "-p", l.Path, l.Path+".copy").Run())
			l.gzip(l.Path + ".copy")
			l.Must(os.Rename(l.Path+".copy.gz", l.Path+".1.gz"))
			l.rotate(".1", 10)
		}},
		{"bzip2", func(l *logger) {
			l.rotate(".1", 10)
			if err := exec.Command("bzip2", l.Path+".1").Run(); errors.Is(err, exec.ErrNotFound) {
				l.T.Skip(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, p := leave(t)
			l.Must(os.WriteFile(l.Path+".older.gz", zipped([]byte(strings.Repeat(logtest.Line(-500), 50))), 0o600))
			l.Lines(20)
			test.rotate(l)
			f := follow(t, l.Path, p, testPace())
			<-f.begun
			l.Open()
			l.Lines(10)
			f.wait(l.N - 100)
			f.checkOnce(100, l.N)
			if f.recalled == 0 {
				t.Error("nothing was recalled")
			}
		})
	}
}

// TestArchivedPosition stops a follower in a compressed file, and checks that the next one
// reads on from there.
func TestArchivedPosition(t *testing.T) {
	l, p := leave(t)
	l.Lines(20_000)
	l.rotate(".1", 10)
	l.gzip(l.Path + ".1")
	f, sink := deaf(t, l, p)
	ctx, cancel := context.WithCancel(t.Context())
	sink.stopAfter, sink.cancel = 7000, cancel
	f.Step(ctx)
	f.saveNow()
	if n := len(sink.numbers()); n != 7000 {
		t.Fatalf("%d lines came", n)
	}
	next := follow(t, l.Path, sink.position, testPace())
	next.wait(l.N - 7100)
	next.checkOnce(7100, l.N)
}

// TestDamagedArchive checks that damage of a compressed file is reported, that what stands
// before it is read, and so is every other file.
func TestDamagedArchive(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(data []byte) []byte
		read   bool // the lines before the damage are
	}{
		{"end missing", func(data []byte) []byte { return data[:len(data)-20] }, true},
		{"sum wrong", func(data []byte) []byte { data[len(data)-6]++; return data }, true},
		{"unsupported", func(data []byte) []byte { return append([]byte("\xfd7zXZ\x00"), data...) }, false},
		{"header", func(data []byte) []byte { data[2] = 9; return data }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, p := leave(t)
			l.Lines(20)
			l.rotate(".1", 10)
			l.gzip(l.Path + ".1")
			data, err := os.ReadFile(l.Path + ".1.gz")
			l.Must(err)
			l.Must(os.WriteFile(l.Path+".1.gz", test.damage(data), 0o600))
			var told bytes.Buffer
			f := newFollows(t, l.Path, testPace())
			f.follower.Log = slog.New(slog.NewTextHandler(&told, nil))
			f.follower.Begin(p)
			for range 3 {
				f.follower.Step(t.Context())
			}
			f.follower.offer(t.Context(), f.follower.current(), true)
			f.follower.Close()
			numbers := f.numbers()
			if test.read && (len(numbers) < 25 || numbers[0] != "100") || len(numbers) < 10 {
				t.Errorf("the lines %q came", numbers)
			}
			checkNumbers(t, numbers[len(numbers)-10:], 120, 130)
			if n := strings.Count(told.String(), "compressed log not readable"); n == 0 || !strings.Contains(told.String(), ".1.gz") {
				t.Errorf("log: %s", told.String())
			}
		})
	}
}

// TestArchiveBomb checks that a compressed file takes no memory for what it holds, and is
// given up where the bound is.
func TestArchiveBomb(t *testing.T) {
	l, p := leave(t)
	l.rotate(".1", 10)
	l.gzip(l.Path + ".1")
	bomb, err := os.OpenFile(l.Path+".1.gz", os.O_WRONLY|os.O_APPEND, 0)
	l.Must(err)
	w := gzip.NewWriter(bomb)
	_, err = io.CopyN(w, zeros{}, 200<<20)
	l.Must(err)
	l.Must(w.Close())
	f, sink := deaf(t, l, p)
	f.unpackable = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for more := true; more; {
		more = f.Step(t.Context())
	}
	f.offer(t.Context(), f.current(), true)
	runtime.ReadMemStats(&after)
	checkNumbers(t, sink.numbers()[1:], 100, 110) // the first one is the beginning of the zeros
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d MB were allocated for a file of %d KB", grown>>20, 200)
	}
	if f.unpackable > 0 || f.unpackable < -chunkLength {
		t.Errorf("%d bytes are left", f.unpackable)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
