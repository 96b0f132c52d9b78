package engine

import (
	"fmt"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/clock"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// offset returns what is known of the clock that stamps the reports of a source.
func (e *Engine) offset(source string) *clock.Offset {
	o := e.offsets[source]
	if o == nil {
		o = &clock.Offset{}
		e.offsets[source] = o
	}
	return o
}

// date gives an event the time of the host's clock. Nothing happens after now.
func (e *Engine) date(ev *event.Event, now time.Time) {
	stamp := ev.Time
	if !datable(stamp) {
		return
	}
	if ev.Live {
		e.stamped(ev.Source, stamp, now)
	}
	if ev.Time = stamp.Add(e.offset(ev.Source).By); ev.Time.After(now) {
		ev.Time = now
	}
	ev.Shifted = ev.Time.Sub(stamp)
}

// stamped takes a stamp that a source wrote just now. What was counted before the offset of the
// source was known has its raw stamps, and goes on counting together with what follows. Events
// from the future counted as now and need no shift.
func (e *Engine) stamped(source string, stamp, now time.Time) {
	o := e.offset(source)
	known := o.Known
	if moved := o.Observe(stamp, now); !known && o.Known && moved > 0 {
		e.rules.Shift(source, moved)
		e.verifier.Shift(source, moved)
	}
}

// begins returns when the consequences of an event begin. A live event has just happened: its
// ban lasts for all of its term, whatever the event's stamp.
func (e *Engine) begins(ev *event.Event) time.Time {
	if ev.Live && e.now.Sub(ev.Time) > clock.Tolerance {
		return e.now
	}
	return ev.Time
}

// compareClocks looks at the stamps that sources have noted beside their events.
func (e *Engine) compareClocks() {
	for ref, s := range e.live.sources.running {
		if stamp, age, ok := s.stream.Progress.TakeStamp(); ok && datable(stamp) {
			e.stamped(ref, stamp, time.Now().Add(-age))
		}
		s.stream.Progress.Report("clock", status.Warning, wrongClock(e.offset(ref).By))
	}
}

// wrongClock says what to do about stamps that are behind the host's clock; "" if they are not.
func wrongClock(behind time.Duration) string {
	if behind == 0 {
		return ""
	}
	const quarter = 15 * time.Minute // every zone is a multiple of it
	off, side, round, zone := behind.Abs(), "behind", time.Second, ""
	if behind < 0 {
		side = "ahead of"
	}
	if off > 10*time.Minute {
		round = time.Minute // a clock that drifts is not told every few seconds
	}
	if whole := off.Round(quarter); whole >= quarter && (off-whole).Abs() < time.Minute {
		zone = "set timezone in the source's block if they are of another zone; else "
	}
	return fmt.Sprintf("its stamps are %s %s this host's clock, and are corrected: %sset the clocks with NTP; FreeSWITCH follows its host after fs_cli -x 'fsctl sync_clock'",
		ban.FormatDuration(off.Round(round)), side, zone)
}
