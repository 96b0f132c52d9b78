package feed

import (
	"sync"
	"time"

	"freeswitch-security/engine/plugin"
)

// progress is what a feed tells of itself while it is at work.
type progress struct {
	mu   sync.Mutex // guards all below
	told plugin.Progress
}

// Progress says what the feed has read: Lines are entries, Skipped those that were
// unreadable or too wide, Events the orders that were handed on, LastEvent the
// time of the last answer that was taken. Doubted are orders that the ledger
// refused for another reason than a ban that stands, which means trust or a grace
// time; of one listing it counts a hundred at the most.
func (s *source) Progress() plugin.Progress {
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// count adds an answer that was taken.
func (p *progress) count(a answer, plan *plan, outcome plugin.Outcome, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Bytes += int64(a.size)
	p.told.LastEvent = now
	p.told.Events += int64(len(plan.listing.Orders))
	p.told.Recognised = p.told.Recognised || a.kind != same
	if a.list != nil {
		p.told.Lines += int64(a.list.lines)
		p.told.Skipped += int64(a.list.unreadable + a.list.wide)
	}
	for i := range outcome.Refused {
		if outcome.Refused[i].Standing == nil {
			p.told.Doubted++
		}
	}
}

// fail says why the list cannot be had; "" that it can. That is no fault: what was
// listed stands meanwhile.
func (p *progress) fail(why string) {
	if why != "" {
		why = "list not taken, what was listed stands until it ends: " + why
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Warning = why
}
