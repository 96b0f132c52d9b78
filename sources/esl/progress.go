package esl

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// progress is what a follower tells of itself while it is at work.
type progress struct {
	mu      sync.Mutex // guards all below
	told    status.Source
	stream  string // why the stream cannot be read; empty if it can
	clock   string // how far the switch's clock is wrong; empty if it is not
	listing string // why the switch's own lists could not be read

	since   time.Time // when the stream was up and nothing was lost since; zero: it is not up
	records bool      // log records come with it
	waiting func() int
}

// look fills in how far the switch was followed. Lines are frames, Bytes what was in
// them. A Warning is that the switch's clock is wrong, or that its lists of
// registrations and gateways cannot be read, while its events can.
func (p *progress) look(s *status.Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*s = p.told
	if s.Fault = p.stream; s.Fault == "" {
		s.Warning = cmp.Or(p.clock, p.listing)
	}
}

// behind is how many events may wait for the engine while the stream still counts
// as heard: more than that take longer than a log event waits for its witness.
const behind = 256

// hearing says since when the stream was heard; see [plugin.Progress.Hear].
func (p *progress) hearing() (events, records time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil || p.waiting() > behind {
		return time.Time{}, time.Time{}
	}
	if p.records {
		records = p.since
	}
	return p.since, records
}

// following says what is followed from now on, and how many events wait.
func (p *progress) following(records bool, waiting func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records, p.waiting = records, waiting
}

// up says that the stream has come up.
func (p *progress) up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Connects++
	p.stream, p.since = "", time.Now()
}

// maxBehind is how far the switch's clock may be behind ours.
const maxBehind = time.Minute

// heartbeat compares the clock of the switch, which is at, to ours. One that is ahead
// does no harm: what is stamped in the future counts as now. FreeSWITCH does not follow
// where the host's clock is set, and where it is far behind, bans are over before they
// begin.
func (p *progress) heartbeat(at time.Time) {
	behind := time.Since(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock = ""
	if behind > maxBehind {
		p.clock = fmt.Sprintf("FreeSWITCH's clock is %s behind this host's, so that bans may be over before they begin: fs_cli -x 'fsctl sync_clock'", behind.Round(time.Minute))
	}
}

// message counts one message of the switch, and how often it had been started
// anew before it.
func (p *progress) message(m *esl.Message, restarts int64) {
	bytes := len(m.Body)
	for name, value := range m.Headers {
		bytes += len(name) + len(value)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Lines++
	p.told.Bytes += uint64(bytes)
	p.told.Restarts += uint64(restarts)
}

// unreadable counts a frame that was none of an event or record.
func (p *progress) unreadable() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Lines++
	p.told.Skipped++
}

// emitted counts an event that was handed on.
func (p *progress) emitted(e *event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Events++
	p.told.LastEvent = e.Time
}

// lost counts events that were dropped.
func (p *progress) lost(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Lost += uint64(n)
	if !p.since.IsZero() {
		p.since = time.Now()
	}
}

// down says why the stream cannot be read.
func (p *progress) down(fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream, p.since = fault, time.Time{}
}

// listed says why the switch's lists could not be read, "" that they were.
func (p *progress) listed(fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listing = fault
}
