package esl

import (
	"sync/atomic"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// progress reports the state of a follower to the engine. Lines are frames, and Bytes
// their size.
type progress struct {
	*plugin.Progress
	records bool                      // the subscription has log records
	queued  func() int                // events that wait for the engine
	since   atomic.Pointer[time.Time] // of the stream without a loss; nil: it is down
}

func newProgress(to *plugin.Progress, records bool, queued func() int) *progress {
	p := &progress{Progress: to, records: records, queued: queued}
	to.Hear(p.hearing)
	p.down("")
	return p
}

// maxQueued bounds the waiting events of a stream that counts as heard. More take longer
// than a log event waits for its witness.
const maxQueued = 256

// hearing says since when the stream is heard; see [plugin.Progress.Hear].
func (p *progress) hearing() (h status.Hearing) {
	since := p.since.Load()
	if since == nil || p.queued() > maxQueued {
		return h
	}
	h.Events = *since
	if p.records {
		h.Records = *since
	}
	return h
}

// up notes that the stream has come up.
func (p *progress) up() {
	now := time.Now()
	p.since.Store(&now)
	p.Update(func(s *status.Source) {
		s.Connects++
		s.Fault = ""
	})
}

func (p *progress) isUp() bool { return p.since.Load() != nil }

// down notes why the stream cannot be read.
func (p *progress) down(fault string) {
	heard := p.since.Swap(nil) != nil
	p.Update(func(s *status.Source) {
		s.Fault = fault
		if heard || s.Disconnected.IsZero() {
			s.Disconnected = time.Now()
		}
	})
	p.Forget()
}

// message counts a message of the stream, and the restarts, doubted records and losses
// that it showed.
func (p *progress) message(m *esl.Message, restarts, doubted, lost uint64) {
	if lost > 0 {
		p.lost(lost)
	}
	p.Update(func(s *status.Source) {
		s.Lines++
		s.Bytes += uint64(m.Size)
		s.Restarts += restarts
		s.Doubted += doubted
	})
}

// lost counts losses: what the stream reports before and after it is not continuous.
func (p *progress) lost(n uint64) {
	if p.isUp() {
		now := time.Now()
		p.since.Store(&now)
	}
	p.Update(func(s *status.Source) { s.Lost += n })
}

// unreadable counts a frame that cannot be decoded.
func (p *progress) unreadable() {
	p.Update(func(s *status.Source) {
		s.Lines++
		s.Skipped++
	})
}

// silent reports whether no heartbeat comes. Each connection then ends after a minute, and the
// next one is good at first.
func (p *progress) silent(is bool) {
	text := ""
	if is {
		text = "no heartbeat comes: set event-heartbeat-interval in autoload_configs/switch.conf.xml to 20, or restart FreeSWITCH"
	}
	p.warn("silent", status.Warning, text)
}

// warn reports what is wrong about one thing. While the stream is down it says nothing.
func (p *progress) warn(about string, severity status.Severity, text string) {
	if p.isUp() {
		p.Report(about, severity, text)
	}
}
