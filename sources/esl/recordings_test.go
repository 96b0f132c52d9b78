package esl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// testSource is the source of `source "esl" "test" {}`, with the log records of the
// program.
func testSource() *source {
	s := &source{name: "esl.test", log: true, inLog: inLogAlone(logfile.Builtin()), zone: time.UTC, queue: defaultQueue, records: logfile.Framed}
	s.at.Address, s.at.Password = defaultAddress, defaultPassword
	return s
}

// replayed returns the events of a recording.
func (s *source) replayed(t testing.TB, data []byte, want map[string]bool) ([]*event.Event, plugin.Stats) {
	t.Helper()
	var events []*event.Event
	stats, err := s.Replay(context.Background(), plugin.Recording{Name: "test", R: bytes.NewReader(data)}, want, func(e *event.Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, stats
}

// describe prints an event in one line: of the raw fields those that this package sets,
// and their number.
func describe(e *event.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Time.UTC().Format("2006-01-02T15:04:05.000000"), e.Name)
	for _, field := range event.Fields[3:] {
		if field.Name == "message" || field.Name == "repeat" {
			continue
		}
		if value := field.Get(e); value != "" {
			fmt.Fprintf(&b, " %s=%q", field.Name, value)
		}
	}
	for _, name := range []string{"authenticated", "expires", "gateway"} {
		if value := e.Fields[name]; value != "" {
			fmt.Fprintf(&b, " [%s]=%q", name, value)
		}
	}
	if e.Repeat {
		b.WriteString(" repeat")
	}
	fmt.Fprintf(&b, " fields=%d\n\t%q\n", len(e.Fields), e.Text)
	return b.String()
}

func describeAll(events []*event.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(describe(e))
	}
	return b.String()
}

func TestRecordings(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, ".plain.gz") {
			continue // TestPlainEqualsJSON
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			events, stats := testSource().replayed(t, golden.Read(t, path), nil)
			if !stats.Recognised || stats.Lines == 0 || stats.Skipped != 0 {
				t.Errorf("%+v", stats)
			}
			golden.Compare(t, strings.TrimSuffix(path, ".gz")+".events", describeAll(events))
		})
	}
}

// unescaped decodes the texts of an event like a plain event: there, a %41 of the caller
// looks like an escape of FreeSWITCH.
func unescaped(e *event.Event) *event.Event {
	text := func(s string) string {
		var b []byte
		for i := 0; i < len(s); i++ {
			if i+2 < len(s) && s[i] == '%' {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b = append(b, byte(n))
					i += 2
					continue
				}
			}
			b = append(b, s[i])
		}
		return string([]rune(string(b)))
	}
	u := *e
	u.Each(func(field *string) { *field = text(*field) })
	u.Text, u.Fields = text(u.Text), maps.Clone(e.Fields)
	for name, value := range u.Fields {
		u.Fields[name] = text(value)
	}
	return &u
}

// comparePlain compares the events of two recordings of one stream.
func comparePlain(t *testing.T, inJSON, inPlain []byte) {
	t.Helper()
	want, _ := testSource().replayed(t, inJSON, nil)
	got, _ := testSource().replayed(t, inPlain, nil)
	if len(want) == 0 || len(got) != len(want) {
		t.Fatalf("%d events in JSON, %d in plain", len(want), len(got))
	}
	exact := 0
	for i := range want {
		if diff := cmp.Diff(want[i], got[i], sameAddr); diff == "" {
			exact++
		} else if diff := cmp.Diff(unescaped(want[i]), got[i], sameAddr); diff != "" {
			t.Errorf("event %d: -JSON +plain:\n%s", i, diff)
		}
	}
	t.Logf("%d events, %d of them equal, the others except for a %%XX of the caller", len(want), exact)
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestPlainEqualsJSON(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.plain.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			comparePlain(t, golden.Read(t, strings.Replace(path, ".plain.", ".json.", 1)), golden.Read(t, path))
		})
	}
}

func TestReplayEnds(t *testing.T) {
	data := golden.Read(t, "testdata/bruteforce.json.gz")
	enough := errors.New("enough")
	replay := func(ctx context.Context, data []byte, emit func(*event.Event) error) (plugin.Stats, error) {
		return testSource().Replay(ctx, plugin.Recording{Name: "x.raw", R: bytes.NewReader(data)}, nil, emit)
	}
	n := 0
	if _, err := replay(context.Background(), data, func(*event.Event) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	}); err != enough || n != 3 {
		t.Errorf("%d events, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := replay(ctx, data, func(*event.Event) error { return nil }); err != context.Canceled {
		t.Error(err)
	}
	stats, err := replay(context.Background(), []byte("2026-11-22 22:13:32.361853 90.00% [WARNING] sofia_reg.c:1842 a log line\n"), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "read x.raw: ") || stats.Recognised {
		t.Errorf("%+v, %v", stats, err)
	}
	stats, err = replay(context.Background(), data[:len(data)-100], func(*event.Event) error { return nil })
	if err != nil || stats.Lines != 56 || stats.Bytes != int64(len(data)-100) {
		t.Errorf("cut off: %+v, %v", stats, err)
	}
}

func TestReplayWanted(t *testing.T) {
	data := golden.Read(t, "testdata/mixed.raw.gz")
	all, _ := testSource().replayed(t, data, nil)
	for _, name := range []string{event.AuthFailure, event.UnknownUser, event.Challenge, event.Call, event.ACLReject} {
		got, _ := testSource().replayed(t, data, map[string]bool{name: true})
		var want []*event.Event
		for _, e := range all {
			if e.Name == name {
				alone := *e
				alone.Repeat = false // its other half is not subscribed to
				want = append(want, &alone)
			}
		}
		if diff := cmp.Diff(want, got, sameAddr, cmpopts.IgnoreFields(event.Event{}, "Fields")); diff != "" || len(got) == 0 {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	if got, _ := testSource().replayed(t, data, map[string]bool{}); len(got) != 0 {
		t.Errorf("nothing is wanted: %v", got)
	}
}

// TestRawFields compares the events of all recordings where everything is read with those where only
// what the rules name is: the raw fields that they and the engine read are the same.
func TestRawFields(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	named := []string{"rpid", "variable_sip_via_rport", "Caller-Channel-Name", "Event-Sequence"}
	want := map[string]bool{}
	for _, spec := range testSource().Describe().Events {
		want[spec.Name] = true
	}
	for _, name := range named {
		want[event.Raw(name)] = true
	}
	read := slices.Concat(named, strings.Fields(ofEngine+" authenticated multiple_registrations gateway sip-allow-multiple-registrations"))
	seen := map[string]bool{}
	for _, path := range paths {
		data := golden.Read(t, path)
		all, _ := testSource().replayed(t, data, nil)
		some, _ := testSource().replayed(t, data, want)
		if diff := cmp.Diff(all, some, sameAddr, cmpopts.IgnoreFields(event.Event{}, "Fields")); diff != "" {
			t.Fatalf("%s: -all +some:\n%s", path, diff)
		}
		for i, e := range some {
			for name, value := range e.Fields {
				if whole, ok := all[i].Fields[name]; !ok && e.Name != event.CallEnded || ok && whole != value {
					t.Errorf("%s: %s has %s = %q, want %q", path, e.Name, name, value, whole)
				}
			}
			for _, name := range read {
				if all[i].Fields[name] != e.Fields[name] {
					t.Errorf("%s: %s has %s = %q, want %q", path, e.Name, name, e.Fields[name], all[i].Fields[name])
				}
				seen[name] = seen[name] || e.Fields[name] != ""
			}
			if e.Fields["to-host"] != "" && e.Name == event.Challenge || len(e.Fields) > 24 {
				t.Errorf("%s: %s has %q", path, e.Name, e.Fields)
			}
		}
	}
	for _, name := range []string{"rpid", "variable_sip_via_rport", "contact", "expires", "username", "variable_sip_authorized", "authenticated"} {
		if !seen[name] {
			t.Errorf("no event has the raw field %s", name)
		}
	}
}

// TestAllRawFields checks that a rule that reads all raw fields is shown all.
func TestAllRawFields(t *testing.T) {
	data := golden.Read(t, "testdata/mixed.raw.gz")
	all, _ := testSource().replayed(t, data, nil)
	want := map[string]bool{event.Raw(""): true}
	for _, spec := range testSource().Describe().Events {
		want[spec.Name] = true
	}
	if got, _ := testSource().replayed(t, data, want); len(got) == 0 || !cmp.Equal(all, got, sameAddr) {
		t.Errorf("-all +got:\n%s", cmp.Diff(all, got, sameAddr))
	}
}
