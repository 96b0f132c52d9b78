// Package golden compares what tests make with files, reads recordings, collects output and measures memory, for tests.
//
// Invariant: without the flag -update no file is written.
package golden

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Update is the flag -update.
var Update = flag.Bool("update", false, "write what the tests make into the files that they are compared with")

// Compare compares a text with a file. With -update it writes the file.
func Compare(t testing.TB, path, got string) {
	t.Helper()
	if *Update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(Read(t, path)), got); diff != "" {
		t.Errorf("%s (-want +got; written by go test -update):\n%s", path, diff)
	}
}

// Read returns the content of a file, which is unpacked if its name ends in .gz.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, ".gz") {
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = io.ReadAll(r)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}
