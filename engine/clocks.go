package engine

import (
	"encoding/json"
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
	if ev.Time = stamp.Add(e.offset(ev.Source).By); ev.Time.After(now) && !ev.Live {
		ev.Time = stamp // the offset no longer holds: timezone was set while the program was not running
	}
	if ev.Time.After(now) {
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
		e.challenges = newChallenges()
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

// tick returns the time, after a step of the host's clock was followed.
func (e *Engine) tick() time.Time {
	now, by := e.options.Clock.Stepped()
	if by == 0 {
		return now
	}
	e.step(by)
	return e.options.Clock.Now()
}

// step moves all that is remembered by a step of the host's clock, so that terms and windows are
// as long as the time that elapses. Of challenges only a hint follows: they are forgotten.
func (e *Engine) step(by time.Duration) {
	e.advance(e.options.Clock.Now())
	e.ledger.Step(by)
	e.rules.Step(by)
	e.verifier.Step(by)
	e.known.step(by)
	e.challenges = newChallenges()
	for _, o := range e.offsets {
		o.Step(by)
	}
	for _, t := range e.tallies {
		if !t.LastBan.IsZero() {
			t.LastBan = t.LastBan.Add(by)
		}
	}
	e.started = e.started.Add(by)
	e.reload.At = e.reload.At.Add(by)
	e.options.Clock.Follow(by)
	e.now = e.options.Clock.Now()
	e.keep()
	e.options.Log.Warn("clock stepped", "by", by.Round(time.Millisecond), "bans", e.ledger.Size())
}

// clocksRef is the name of the clocks among the positions; that of a source has a dot.
const clocksRef = "clocks"

// keepEvery is the interval at which the clocks are saved while no source saves a position.
const keepEvery = 10 * time.Second

// A clockState is what is saved of the clocks.
type clockState struct {
	Saved  time.Time                // by the host's clock
	Behind map[string]time.Duration // the known offsets of sources
}

// keepClocks saves the clocks with the next commit.
func (e *Engine) keepClocks() {
	e.live.kept = e.options.Clock.Now()
	s := clockState{Saved: e.live.kept, Behind: map[string]time.Duration{}}
	for ref, o := range e.offsets {
		if o.Known {
			s.Behind[ref] = o.By
		}
	}
	e.live.sources.moved[clocksRef], _ = json.Marshal(s) // it cannot fail
}

// sensible is a time before which a host's clock has not been set.
var sensible = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// restoreClocks restores the offsets that were saved. If the host's clock is earlier now, as at a
// boot before NTP has set it, or had not been set then, bans run for the rest of their terms.
func (e *Engine) restoreClocks(kept []byte, now time.Time) {
	var s clockState
	_ = json.Unmarshal(kept, &s) // without it, the clocks are not known
	for ref, behind := range s.Behind {
		e.offsets[ref] = &clock.Offset{By: behind, Known: true}
	}
	unset := !s.Saved.IsZero() && s.Saved.Before(sensible) && now.After(sensible) // as before NTP
	if by := now.Sub(s.Saved); by <= -time.Second || unset {
		e.ledger.Step(by)
		e.rules.Step(by)
		if e.known.dialogues != nil {
			e.known.dialogues.Step(by)
		}
		if e.known.history != nil {
			e.known.history.Step(by)
		}
		e.options.Log.Warn("clock unlike that of the saved state: bans run for the rest of their terms", "by", by.Round(time.Second), "bans", e.ledger.Size())
	}
}

// compareClocks takes the stamps that sources have noted, and reports the clocks that are wrong.
func (e *Engine) compareClocks() {
	for ref, s := range e.live.sources.running {
		if stamp, age, ok := s.stream.Progress.TakeStamp(); ok && datable(stamp) {
			e.stamped(ref, stamp, e.options.Clock.Now().Add(-age))
		}
		s.stream.Progress.Report("clock", status.Warning, wrongClock(e.offset(ref).By, s.Description.Log))
	}
}

// wrongClock says what to do about stamps that are behind the host's clock; "" if they are not.
// Only those of a log may be of another zone.
func wrongClock(behind time.Duration, log bool) string {
	if behind == 0 {
		return ""
	}
	const quarter = 15 * time.Minute // every zone is a multiple of it
	off, side, round, zone := behind.Abs(), "behind", time.Second, ""
	if behind < 0 {
		side = "ahead of"
	}
	if off > 10*time.Minute {
		round = time.Minute // a clock that drifts is not reported every few seconds
	}
	if whole := off.Round(quarter); log && whole >= quarter && (off-whole).Abs() < time.Minute {
		zone = "set timezone in the source's block if they are of another zone; else "
	}
	return fmt.Sprintf("its stamps are %s %s this host's clock, and are corrected: %sset the clocks with NTP; FreeSWITCH follows its host after fs_cli -x 'fsctl sync_clock'",
		ban.FormatDuration(off.Round(round)), side, zone)
}
