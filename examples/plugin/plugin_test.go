package plugin

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"
)

func block(t *testing.T, body string) *settings.Block {
	return settingstest.Block(t, "a.hcl", body, nil)
}

func newAction(b *settings.Block) plugin.Action {
	a := List.New(b, plugin.ActionEnv{Name: "list.mine", Claim: func(string) {}})
	b.Done()
	return a
}

// A sink takes what a source reports.
type sink struct {
	events    chan *event.Event
	positions chan []byte
}

func (s sink) Emit(e *event.Event) { s.events <- e }
func (s sink) Position(at []byte)  { s.positions <- at }

func TestKnocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "knocks")
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("203.0.113.1 before\n")
	b := block(t, "path = \""+path+"\"\nevery = \"10ms\"")
	source := Knocks.New(b, plugin.SourceEnv{Name: "knocks.door"})
	if b.Done(); b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	s := sink{make(chan *event.Event, 10), make(chan []byte, 10)}
	ready, done := make(chan struct{}), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	progress := &plugin.Progress{}
	go func() {
		done <- source.Follow(ctx, plugin.Stream{Sink: s, Progress: progress, Ready: func() { close(ready) }})
	}()
	<-ready
	write("no address\n203.0.113.7 alice\nhalf a li")
	if e := <-s.events; e.User != "alice" || e.IP != netip.MustParseAddr("203.0.113.7") || e.Source != "knocks.door" {
		t.Errorf("%+v", e)
	}
	position := <-s.positions
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if p := progress.Status(); p.Events != 1 || p.Lines != 2 {
		t.Errorf("%+v", p)
	}

	// From the position on, nothing is reported twice and nothing is missed.
	write("ne\n203.0.113.8 bob\n")
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		done <- source.Follow(ctx, plugin.Stream{Sink: s, From: position, Progress: progress, Ready: func() {}})
	}()
	if e := <-s.events; e.User != "bob" {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}

	var users []string
	stats, err := source.Replay(t.Context(), plugin.Recording{R: strings.NewReader("203.0.113.7 alice\nx\n203.0.113.8 bob\n")}, nil,
		func(e *event.Event) error { users = append(users, e.User); return nil })
	if err != nil || stats.Lines != 3 || !slices.Equal(users, []string{"alice", "bob"}) {
		t.Errorf("replayed %v, %+v, %v", users, stats, err)
	}
}

func TestListHoldsTheBans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "banned.txt")
	b := block(t, `path = "`+path+`"`)
	l := newAction(b).(plugin.Level)
	if b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	holds := func(want string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || strings.Join(strings.Fields(string(got)), " ") != want {
			t.Errorf("the file holds %q, want %q; %v", got, want, err)
		}
	}
	if _, err := l.Resync(t.Context(), slices.Values([]ban.Ban(nil))); err != nil {
		t.Fatal(err)
	}
	holds("")
	now := time.Now()
	change := func(kind ban.Kind, target string, until time.Time) ban.Change {
		return ban.Change{Kind: kind, Ban: ban.Ban{Target: ban.Network(netip.MustParsePrefix(target)), Until: until}}
	}
	for range 2 { // a batch may come twice
		err := l.Apply(t.Context(), ban.BatchOf(now, []ban.Change{
			change(ban.KindBan, "203.0.113.7/32", now.Add(time.Hour)),
			change(ban.KindBan, "198.51.100.0/24", time.Time{}),
			change(ban.KindBan, "192.0.2.1/32", now.Add(-time.Second)),
		}...))
		if err != nil {
			t.Fatal(err)
		}
	}
	holds("198.51.100.0/24 203.0.113.7")
	if found, err := l.Inspect(t.Context()); err != nil || len(found.Entries) != 2 {
		t.Errorf("found %v, %v", found, err)
	}

	if err := os.WriteFile(path, []byte("192.0.2.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	drift, err := l.Resync(t.Context(), slices.Values([]ban.Ban{{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32"))}}))
	if err != nil || !drift.Any() {
		t.Errorf("after a change of the file: %+v, %v", drift, err)
	}
	holds("203.0.113.7")
	if err := l.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	if found, err := l.Inspect(t.Context()); err != nil || len(found.Entries) > 0 {
		t.Errorf("after a withdrawal: %+v, %v", found, err)
	}
}

func TestPathMustBeWhole(t *testing.T) {
	b := block(t, `path = "banned.txt"`)
	if newAction(b); !b.Failed() || !strings.Contains(b.Diagnostics()[0].Detail, "whole path") {
		t.Errorf("a relative path: %v", b.Diagnostics())
	}
}
