package sip

import (
	"sync/atomic"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

const (
	// faultFor is the time for which a problem is reported after it was last seen.
	faultFor = 10 * time.Minute

	// deafAfter is the time without a packet after which it is unknown whether the switch
	// still mirrors its messages.
	deafAfter = 30 * time.Second

	// maxQueued bounds the waiting events of a source that counts as heard. More take longer
	// than a log event waits for its witness.
	maxQueued = 256
)

// unheard is reported until the first SIP message.
const unheard = "no SIP message was mirrored to this source yet. FreeSWITCH: capture-server in sofia.conf.xml, then `sofia global capture on`; sources/sip/README.md says more"

// progress reports the state of a follower to the engine. Lines are packets; Skipped are
// those that are not SIP or whose sender is not accepted. The lock of the follower guards it.
type progress struct {
	*plugin.Progress
	queued func() int

	// Since the last flush.
	packets, bytes, skipped, lost uint64
	unsent                        uint64 // packets that were not forwarded
	heard                         bool   // a SIP message

	faults map[string]time.Time // of each reported problem, when it was last seen
	now    time.Time            // of the last look: a clock that costs nothing

	since, latest atomic.Int64 // when hearing began, and the last message; Unix ns, 0: never
}

func newProgress(to *plugin.Progress, queued func() int) *progress {
	p := &progress{Progress: to, queued: queued, faults: map[string]time.Time{}, now: time.Now()}
	to.Hear(p.hearing)
	to.Report("silent", status.Info, unheard)
	return p
}

// hearing says since when all messages are heard; see [plugin.Progress.Hear].
func (p *progress) hearing() (h status.Hearing) {
	if latest := p.latest.Load(); latest != 0 && time.Since(time.Unix(0, latest)) < deafAfter && p.queued() <= maxQueued {
		h.Events = time.Unix(0, p.since.Load())
	}
	return h
}

// count counts a packet.
func (p *progress) count(data []byte) {
	p.packets++
	p.bytes += uint64(len(data))
}

// skip counts a packet that is not read, and reports why.
func (p *progress) skip(about, why string) {
	p.skipped++
	p.fault(about, why)
}

// withoutAddress is the problem of packets without addresses. A site cannot mend FreeSWITCH,
// and other sources report most attacks over IPv6.
const withoutAddress = "address"

// fault reports a problem, whose text stays what it was first; "" is none.
func (p *progress) fault(about, text string) {
	if text == "" {
		return
	}
	if _, known := p.faults[about]; !known {
		severity := status.Warning
		if about == withoutAddress {
			severity = status.Info
		}
		p.Report(about, severity, text)
	}
	p.faults[about] = p.now
}

// look takes back problems that were not seen for a while.
func (p *progress) look(now time.Time) {
	p.now = now
	for about, at := range p.faults {
		if now.Sub(at) > faultFor {
			delete(p.faults, about)
			p.Report(about, status.Warning, "")
		}
	}
}

// flush adds what was counted; stamp is that of the last message.
func (p *progress) flush(stamp time.Time) {
	now := time.Now()
	if p.heard {
		if p.latest.Load() == 0 {
			p.Report("silent", status.Info, "")
		}
		if now.Sub(time.Unix(0, p.latest.Load())) > deafAfter {
			p.since.Store(now.UnixNano())
		}
		p.latest.Store(now.UnixNano())
		p.Stamped(stamp)
	}
	if p.lost > 0 {
		p.since.Store(now.UnixNano())
	}
	p.Update(func(s *status.Source) {
		s.Lines += p.packets
		s.Bytes += p.bytes
		s.Skipped += p.skipped
		s.Lost += p.lost
		s.Unsent += p.unsent
	})
	p.packets, p.bytes, p.skipped, p.lost, p.unsent, p.heard = 0, 0, 0, 0, 0, false
}
