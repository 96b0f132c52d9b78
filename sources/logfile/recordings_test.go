package logfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile/forgery"
)

func builtinSource() *source {
	return &source{name: "log.test", zone: time.UTC, detect: true, piece: forgery.PieceLength, patterns: slices.Clone(catalogue())}
}

// A result is that of a replay.
type result struct {
	events []event.Event
	stats  plugin.Stats
	err    error
}

func (s *source) collect(r io.Reader, modTime time.Time, want map[string]bool, sizes sizes) result {
	var got result
	got.stats, got.err = s.replay(context.Background(), plugin.Recording{Name: "test", ModTime: modTime, R: r}, want, func(e *event.Event) error {
		got.events = append(got.events, *e)
		return nil
	}, sizes)
	return got
}

// describe returns an event in one line.
func describe(e *event.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Time.Format("2006-01-02T15:04:05.000000"), e.Name)
	if e.IP.IsValid() {
		fmt.Fprintf(&b, " %s", e.IP)
	}
	if e.Port != 0 {
		fmt.Fprintf(&b, " port=%d", e.Port)
	}
	for _, name := range []string{"user", "domain", "profile", "method", "user_agent", "call_id", "to_user", "destination", "transport"} {
		if text := event.FieldNamed(name).Get(e); text != "" {
			fmt.Fprintf(&b, " %s=%q", name, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		fmt.Fprintf(&b, " [%s]=%q", name, e.Fields[name])
	}
	if e.Repeat {
		b.WriteString(" repeat")
	}
	return b.String()
}

// TestRecordings compares the events of recordings of a real FreeSWITCH under attack
// with the golden files beside them.
func TestRecordings(t *testing.T) {
	for _, path := range recordings(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := builtinSource().collect(bytes.NewReader(data), time.Time{}, nil, defaultSizes())
			if got.err != nil {
				t.Fatal(got.err)
			}
			var b strings.Builder
			for i := range got.events {
				fmt.Fprintln(&b, describe(&got.events[i]))
			}
			fmt.Fprintf(&b, "lines %d, skipped %d, doubted %d\n", got.stats.Lines, got.stats.Skipped, got.stats.Doubted)
			golden.Compare(t, strings.TrimSuffix(path, ".log")+".events", b.String())
		})
	}
}

func recordings(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.log")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings in testdata: ", err)
	}
	return paths
}

// TestForgedAddresses checks the invariant of this package on a recording without
// session lines: addresses that attackers wrote into user names, domains and user agents
// never become evidence.
func TestForgedAddresses(t *testing.T) {
	data, err := os.ReadFile("testdata/injection.log")
	if err != nil {
		t.Fatal(err)
	}
	victims := []string{"198.51.100.138", "198.51.100.177"}
	for _, v := range victims {
		if n := bytes.Count(data, []byte(v)); n < 20 {
			t.Fatalf("%s stands %d times in the recording", v, n)
		}
	}
	for _, e := range builtinSource().collect(bytes.NewReader(data), time.Time{}, nil, defaultSizes()).events {
		if e.Name != event.Challenge && slices.Contains(victims, e.IP.String()) {
			t.Errorf("evidence against a victim: %s", describe(&e))
		}
	}
}
