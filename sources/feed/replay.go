package feed

import (
	"context"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// The raw fields of a listed event.
const (
	fieldNetwork = "network" // what is listed, where it is more than one address
	fieldReason  = "reason"  // why, in the list's words
)

// Replay reads a saved list and reports each entry as a listed event, stamped with
// the recording's last write. A list that would not be believed has none.
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

// listed is the event that an entry of a saved list becomes.
func (s *source) listed(e *entry, rec plugin.Recording) *event.Event {
	ev := &event.Event{
		Time: rec.ModTime, Name: event.Listed, Source: s.name, IP: e.target.Addr(),
		Text: ban.Network(e.target).String(),
	}
	if e.reason != "" {
		ev.Text += " " + e.reason
		ev.Fields = map[string]string{fieldReason: e.reason}
	}
	if !e.target.IsSingleIP() {
		if ev.Fields == nil {
			ev.Fields = map[string]string{}
		}
		ev.Fields[fieldNetwork] = ban.Network(e.target).String()
	}
	return ev
}
