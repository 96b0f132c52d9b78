package plugin

import (
	"maps"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// Progress is how far a source has come. The engine owns it; the source writes it, and
// the engine, the API and the metrics read it. All methods may be called from any
// goroutine.
type Progress struct {
	mu       sync.Mutex // guards all below
	status   status.Source
	problems map[string]status.Problem // by what they are about
	look     func(*status.Source)
	hearing  func() status.Hearing
	stamp    time.Time // the latest that was not taken; zero: there is none
	stamped  time.Time // when it was noted
}

// Update changes the counters and the texts.
func (p *Progress) Update(change func(*status.Source)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// Report says what is wrong about one thing although the source is read, and what to do;
// an empty text says that nothing is. The engine logs it, and the status shows it.
func (p *Progress) Report(about string, severity status.Severity, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text == "" {
		delete(p.problems, about)
		return
	}
	if p.problems == nil {
		p.problems = map[string]status.Problem{}
	}
	p.problems[about] = status.Problem{Severity: severity, Text: text}
}

// Forget takes back all that was reported, as of a connection that has ended.
func (p *Progress) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.problems)
}

// Emitted counts an event that is about to be emitted.
func (p *Progress) Emitted(e *event.Event) { p.emitted(1, e.Time) }

func (p *Progress) emitted(events int, latest time.Time) {
	p.Update(func(s *status.Source) {
		s.Events += uint64(events)
		if s.LastEvent = latest; latest.IsZero() {
			s.LastEvent = time.Now()
		}
	})
}

// Look sets a function that fills in what only a look at the moment of asking tells,
// such as the bytes that wait.
func (p *Progress) Look(look func(*status.Source)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look = look
}

// Hear sets a function that says how the source hears the switch. A source that sets it
// can corroborate others; see [Description].
func (p *Progress) Hear(hearing func() status.Hearing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hearing = hearing
}

// Stamped notes a stamp that the switch has just written, also if no event was made of it: the
// engine compares the clocks, once a second.
func (p *Progress) Stamped(stamp time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stamp, p.stamped = stamp, time.Now()
}

// TakeStamp returns the latest stamp and its age; ok is false if there is none since the last call.
func (p *Progress) TakeStamp() (stamp time.Time, age time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stamp, p.stamp = p.stamp, time.Time{}
	return stamp, time.Since(p.stamped), !stamp.IsZero()
}

// Status returns a snapshot.
func (p *Progress) Status() status.Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	for _, about := range slices.Sorted(maps.Keys(p.problems)) {
		s.Problems = append(s.Problems, p.problems[about])
	}
	if p.look != nil {
		p.look(&s)
	}
	return s
}

// Hearing returns what the function of [Progress.Hear] says; zero without one.
func (p *Progress) Hearing() status.Hearing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hearing == nil {
		return status.Hearing{}
	}
	return p.hearing()
}
