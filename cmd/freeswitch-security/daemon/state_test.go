package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestLostState distinguishes a missing state from a damaged one.
func TestLostState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "state.db")
	log := slog.New(slog.DiscardHandler)
	for _, want := range []string{missing, "", unreadable} {
		if want == unreadable {
			if err := os.WriteFile(path, make([]byte, 1<<16), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, lost, err := openState(path, log)
		if err != nil || lost != want {
			t.Fatalf("%q, %v, want %q", lost, err, want)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
