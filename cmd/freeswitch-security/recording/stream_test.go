package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestStreamSeams reads files that do not end at the end of a line.
func TestStreamSeams(t *testing.T) {
	const one, two = "2026-05-04 10:00:00 one", "2026-05-04 10:00:01 two"
	long := strings.Repeat("x", 3*maxHeld)
	cut := compressed(one + "\n" + two)
	cut = cut[:len(cut)-8] // without the checksum
	for name, test := range map[string]struct {
		files  []string
		want   string
		failed int
	}{
		"one line in three":         {[]string{one[:3], one[3:15], one[15:] + "\n"}, one + "\n", 0},
		"no line end":               {[]string{one, two}, one + "\n" + two, 0},
		"an empty file between":     {[]string{one, "", two}, one + "\n" + two, 0},
		"a call's UUID":             {[]string{one, "0a1b2c3d-0000-1111-2222-333344445555 " + two}, one + "\n0a1b2c3d-0000-1111-2222-333344445555 " + two, 0},
		"broken off":                {[]string{cut, two + "\n"}, one + "\n" + two + "\n", 1},
		"broken off, no new line":   {[]string{cut, "behind\n"}, one + "\nbehind\n", 1},
		"a long line":               {[]string{long, long + "\n" + two}, long + long + "\n" + two, 0},
		"a long line and another":   {[]string{long, one}, long + "\n" + one, 0},
		"a long line, held in part": {[]string{long + "x", two}, long + "x\n" + two, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			for _, content := range test.files {
				paths = append(paths, filepath.Join(t.TempDir(), "part"))
				if err := os.WriteFile(paths[len(paths)-1], []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for size, read := range map[string]func(io.Reader) io.Reader{
				"bytes":  iotest.OneByteReader,
				"blocks": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 2*maxHeld) },
			} {
				r := &Stream{paths: slices.Clone(paths)}
				got, err := io.ReadAll(read(r))
				if err != nil || string(got) != test.want {
					t.Errorf("by %s: got %.200q, %v, want %.200q", size, got, err, test.want)
				}
				if len(r.failed) != test.failed {
					t.Errorf("failures: %v, want %d", r.failed, test.failed)
				}
			}
		})
	}
}

// TestHeadCloses checks that a file of which only the beginning is read is closed, with what reads it ahead.
func TestHeadCloses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.gz")
	if err := os.WriteFile(path, []byte(compressed(strings.Repeat("x", 16*recognised))), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := head(path, nil); err != nil || len(text) != recognised {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(open) == 0 {
		t.Fatalf("%q, %v", open, err)
	}
	for _, fd := range open {
		if to, _ := os.Readlink(fd); to == path {
			t.Error("it is open")
		}
	}
}

func compressed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text) // a buffer takes everything
	w.Close()
	return b.String()
}
