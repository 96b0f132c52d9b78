package feed

import (
	"context"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// The raw fields of a listed event.
const (
	fieldNetwork = "network" // the target, if it is not a single address
	fieldReason  = "reason"  // as the list gives it
)

// Replay reads a saved list and emits each entry as a listed event, stamped with the
// time of the recording's last write. A list that is not credible has none.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	var stats plugin.Stats
	body, err := readBounded(rec.R, s.maxBytes)
	stats.Bytes = int64(len(body))
	if err != nil {
		return stats, err
	}
	format := s.format
	if s.isAPIBAN() {
		format = banlist.JSON
	}
	l, err := read(body, format, s.bounds)
	stats.Lines, stats.Skipped = int64(l.lines), int64(l.unreadable+l.wide)
	if err != nil {
		return stats, nil // another kind of file: nothing of it is recognised
	}
	stats.Recognised = len(l.entries) > 0
	if want != nil && !want[event.Listed] {
		return stats, nil
	}
	for i := range l.entries {
		if err := context.Cause(ctx); err != nil {
			return stats, err
		}
		if err := emit(s.listed(&l.entries[i], rec)); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// listed returns the event of an entry.
func (s *source) listed(e *entry, rec plugin.Recording) *event.Event {
	target := ban.Network(e.target).String()
	ev := &event.Event{
		Time: rec.ModTime, Name: event.Listed, Source: s.name, IP: e.target.Addr(),
		Text: strings.TrimSpace(target + " " + e.reason), Fields: map[string]string{},
	}
	if e.reason != "" {
		ev.Fields[fieldReason] = e.reason
	}
	if !e.target.IsSingleIP() {
		ev.Fields[fieldNetwork] = target
	}
	return ev
}
