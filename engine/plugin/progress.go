package plugin

import (
	"sync"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// Progress is how far a source has come. The engine owns it; the source writes it, and
// the engine, the API and the metrics read it. All methods may be called from any
// goroutine.
type Progress struct {
	mu      sync.Mutex // guards all below
	status  status.Source
	look    func(*status.Source)
	hearing func() status.Hearing
}

// Update changes the counters and the texts.
func (p *Progress) Update(change func(*status.Source)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// Emitted counts an event.
func (p *Progress) Emitted(e *event.Event) {
	p.Update(func(s *status.Source) {
		s.Events++
		s.LastEvent = e.Time
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

// Status returns a snapshot.
func (p *Progress) Status() status.Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
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
