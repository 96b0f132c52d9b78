package engine

import (
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// A source that is read may still see nothing: FreeSWITCH does not report what its settings
// hide. So sources of one switch are compared with each other, and a log with itself.

const (
	// doubtsWithin is the time over which doubted lines are compared with events.
	doubtsWithin = 10 * time.Minute
	minDoubted   = 20 // lines
	doubtedShare = 20 // one of so many lines that look like an event

	// missesAfter is the time in which a source misses what another one reports.
	missesAfter = time.Hour
	minLines    = 100 // read by the one meanwhile
	minMissed   = 10  // reported by the other

	// silentAfter is the time without a packet after which a source on the wire is judged.
	silentAfter = time.Minute
)

// attacks are the events that the log and the event stream of one switch both report. A
// challenge is not among them: it is ordinary, and most logs have none.
var attacks = map[string]bool{
	event.AuthFailure: true, event.UnknownUser: true, event.ACLReject: true, event.ESLDenied: true, event.AuthMalformed: true,
}

// A sight is what a source has seen, and what was known at the beginning of the time over
// which it is judged. It belongs to the core.
type sight struct {
	seen  map[string]uint64 // attacks by their names
	doubt struct {
		at              time.Time
		doubted, events uint64
	}
	silence struct {
		at             time.Time // since then there was no packet
		lines, attacks uint64    // packets read, attacks that others reported
	}
	missed struct {
		at        time.Time
		lines     uint64
		other     *source
		own, seen map[string]uint64 // by this source, and by the other
	}
}

// see counts an attack. Of those of a backlog, others may not have heard.
func (set *sourceSet) see(ev *event.Event) {
	if !attacks[ev.Name] || !ev.Live {
		return
	}
	if s := set.running[ev.Source]; s != nil {
		s.sight.seen[ev.Name]++
	}
}

// judge reports what sources do not see, at the time now.
func (set *sourceSet) judge(now time.Time) {
	var logs, streams, wires []*source
	for _, s := range set.running {
		switch d := &s.Description; {
		case d.Log:
			logs = append(logs, s)
		case d.Proves:
			wires = append(wires, s)
		case d.Hears:
			streams = append(streams, s)
		}
	}
	partners := map[*source]*source{}
	for _, log := range logs {
		stream := set.running[log.Description.Corroborate.Value]
		if stream == nil && len(logs) == 1 && len(streams) == 1 {
			stream = streams[0]
		}
		if stream != nil {
			partners[log], partners[stream] = stream, log
		}
		log.judgeAlone(len(streams) == 0)
	}
	one := len(wires) == 1 && len(streams) <= 1 && len(logs) <= 1 // switch
	for _, wire := range wires {
		var others []*source
		if one {
			others = slices.Concat(streams, logs)
		}
		wire.judgeSilence(others, now)
		if len(others) > 0 {
			partners[wire] = others[0]
		}
	}
	for _, s := range slices.Concat(logs, streams, wires) {
		s.judgeDoubts(now)
		s.judgeMissed(partners[s], now)
	}
}

// report reports a warning about one thing if that is bad, and takes it back if it is not.
func (s *source) report(about, text string, bad bool) {
	if !bad {
		text = ""
	}
	s.stream.Progress.Report(about, status.Warning, text)
}

func (s *source) judgeDoubts(now time.Time) {
	p := s.stream.Progress.Status()
	m := &s.sight.doubt
	doubted, events := p.Doubted-m.doubted, p.Events-m.events
	over := now.Sub(m.at) >= doubtsWithin
	bad := !m.at.IsZero() && doubted >= minDoubted && doubted*doubtedShare > doubted+events
	if bad || over {
		s.report("doubt", "many lines that look like an attack are doubted and do not count: callers forge them, or they are those of an unknown version; "+
			"freeswitch-security explain says why", bad)
	}
	if over {
		m.at, m.doubted, m.events = now, p.Doubted, p.Events
	}
}

// judgeMissed reports a source that has read much and seen no attack while the other one has,
// until it sees one. other is nil if no other source hears the same switch.
func (s *source) judgeMissed(other *source, now time.Time) {
	if other == nil {
		s.report("missed", "", false)
		return
	}
	p := s.stream.Progress.Status()
	m := &s.sight.missed
	var missed uint64
	for name, n := range other.sight.seen {
		if s.emits(name) && m.other == other {
			missed += n - m.seen[name]
		}
	}
	if m.other != other || p.Fault != "" || !maps.Equal(m.own, s.sight.seen) {
		m.other, m.at, m.lines, m.seen, m.own = other, now, p.Lines, maps.Clone(other.sight.seen), maps.Clone(s.sight.seen)
		missed = 0
	}
	text := "it reports no attack, and source." + other.Ref + " reports some: check that its address is that of the same switch"
	switch {
	case s.Description.Proves:
		text = "it reports no attack, and source." + other.Ref + " reports some: check that capture is on in every SIP profile of the same switch; " + doctor
	case s.Description.Log:
		text = "it has no attack, and source." + other.Ref + " reports some: check that path is the log of the same switch, that its level shows warnings, " +
			"and log-auth-failures in the SIP profiles"
	}
	s.report("missed", text, missed >= minMissed && p.Lines-m.lines >= minLines && now.Sub(m.at) >= missesAfter)
}

// doctor is what to run if a source on the wire is deaf.
const doctor = "freeswitch-security doctor says what to do"

// judgeSilence reports a source on the wire that has heard packets and hears none any more, while
// others report attacks: it hears at least those. Of one that never heard any, it says so itself.
func (s *source) judgeSilence(others []*source, now time.Time) {
	var attacks uint64
	for _, other := range others {
		for name, n := range other.sight.seen {
			if name != event.ESLDenied { // not SIP
				attacks += n
			}
		}
	}
	m, lines := &s.sight.silence, s.stream.Progress.Status().Lines
	if lines != m.lines || attacks < m.attacks {
		m.at, m.lines, m.attacks = now, lines, attacks
	}
	s.report("deaf", "it hears no packet any more, and other sources report attacks: capture is off, as after a restart of the switch; "+doctor,
		lines > 0 && attacks-m.attacks >= minMissed && now.Sub(m.at) >= silentAfter)
}

// emits reports whether a source would emit an event.
func (s *source) emits(name string) bool {
	return (s.stream.Want == nil || s.stream.Want[name]) && slices.Contains(s.Description.Events.Names(), name)
}

// judgeAlone reports a log without refused passwords, if no stream reports them. FreeSWITCH
// also writes one for each unknown user, where log-auth-failures is set.
func (s *source) judgeAlone(alone bool) {
	seen := s.sight.seen
	s.report("passwords", "FreeSWITCH does not log refused passwords: set log-auth-failures to true in its SIP profiles, or add a source \"esl\"",
		alone && s.emits(event.AuthFailure) && seen[event.UnknownUser] >= minMissed && seen[event.AuthFailure] == 0)
}
