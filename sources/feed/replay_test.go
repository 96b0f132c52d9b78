package feed

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

func replayed(t *testing.T, name string, want map[string]bool) ([]*event.Event, plugin.Stats) {
	t.Helper()
	opened, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	var events []*event.Event
	s := feedOf(t, `url = "https://x.example/"`)
	stats, err := s.Replay(t.Context(), plugin.Recording{Name: name, ModTime: time.Unix(1777890000, 0), R: opened}, want, func(e *event.Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(name, err)
	}
	return events, stats
}

func TestReplay(t *testing.T) {
	if v := feedOf(t, `path = "/x"`).Describe(); len(v.Events) != 1 || v.Events[0].Name != event.Listed {
		t.Errorf("%+v", v)
	}
	for name, want := range map[string]struct {
		events         int
		lines, skipped int64
	}{
		"plain.txt": {4, 5, 1}, "table.csv": {3, 3, 0}, "blacklist.json": {2, 2, 0}, "decisions.json": {2, 3, 0}, "apiban.json": {2, 2, 0}, "export.json": {2, 3, 0}, "export.csv": {2, 2, 0}, "page.html": {0, 0, 0},
	} {
		events, stats := replayed(t, name, nil)
		if len(events) != want.events || stats.Lines != want.lines || stats.Skipped != want.skipped || stats.Recognised != (want.events > 0) || stats.Bytes == 0 {
			t.Errorf("%s: %d events, %+v", name, len(events), stats)
		}
	}
	events, _ := replayed(t, "blacklist.json", map[string]bool{event.Listed: true})
	first, second := events[0], events[1]
	if first.Name != event.Listed || first.Source != "feed.apiban" || first.IP.String() != "203.0.113.7" || first.Fields[fieldReason] != "5 auth_failure in 80s" ||
		first.Time.Unix() != 1777890000 || first.Text != "203.0.113.7 5 auth_failure in 80s" || first.Fields[fieldNetwork] != "" {
		t.Errorf("%+v", first)
	}
	if second.Fields[fieldNetwork] != "198.51.100.0/24" || second.IP.String() != "198.51.100.0" {
		t.Errorf("%+v", second)
	}
	if events, stats := replayed(t, "plain.txt", map[string]bool{event.AuthFailure: true}); len(events) != 0 || !stats.Recognised {
		t.Errorf("%d unwanted events", len(events))
	}
}

func TestReplayEnds(t *testing.T) {
	s := feedOf(t, `path = "/x"`)
	stop := errors.New("enough")
	opened, err := os.Open("testdata/plain.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	n := 0
	_, err = s.Replay(t.Context(), plugin.Recording{R: opened}, nil, func(*event.Event) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d events", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = opened.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	_, err = s.Replay(ctx, plugin.Recording{R: opened}, nil, func(*event.Event) error { t.Error("an event"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
