package corroborate

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/event"
)

const (
	// patience is how far apart the stamps of the two reports of one attempt may
	// be, and how long a log event waits for the other one.
	patience = 2 * time.Second

	// memory is how long a report of the stream is remembered, for a log that is
	// read later than it was written.
	memory = time.Minute

	// late is how long after its time a log event may be judged. Later than that, the
	// program itself stood still, and what the stream said meanwhile is yet to be read.
	late = 500 * time.Millisecond

	// maxKept bounds the log events that wait, and the reports that are
	// remembered. Beyond it the oldest is given up.
	maxKept = 1 << 15
)

// kinds are the events that both a log and the stream report with an address;
// true: the stream knows them only from its log records. A call is none of them:
// the log has a line for each INVITE, the stream only for those that got through.
var kinds = map[string]bool{
	event.Challenge:     false,
	event.AuthFailure:   false,
	event.UnknownUser:   true,
	event.ACLReject:     true,
	event.ESLDenied:     true,
	event.AuthMalformed: true,
}

// Hearing says since when a stream has been heard without a gap; zero: it is not
// being heard now, or is behind.
type Hearing struct {
	Events  time.Time
	Records time.Time // its log records
}

// withoutRecords reports whether the stream is heard and has no log records: what
// it would know only from them is believed as it stands. While nobody hears it, that
// is open, or callers who cut it off could write what they like.
func (h Hearing) withoutRecords() bool { return !h.Events.IsZero() && h.Records.IsZero() }

// A Pair is a log and the stream that vouches for it.
type Pair struct {
	Log     string // the reference of the source: "log.freeswitch"
	Witness string // "esl.pbx"
	// Hearing tells how the stream is being heard; nil in a replay, where a stream
	// is heard from its first event on.
	Hearing func() Hearing
}

// A Desk holds log events until the stream has vouched for them. It belongs to
// one goroutine; time is an argument.
type Desk struct {
	pairs   map[string]Pair   // by log
	live    bool              // the streams are heard now, and not in a replay
	heard   map[string]*heard // by witness
	waiting queue             // log events
	reports queue             // of the streams, not yet matched
	stats   Stats
}

// heard is what was heard of a stream so far.
type heard struct {
	Hearing           // since its first event, its first record
	last    time.Time // the latest stamp
	ended   bool      // nothing comes after it
}

// Stats counts what became of log events. The numbers only grow.
type Stats struct {
	Confirmed uint64
	Forged    uint64
	Unheard   uint64 // not believed because the stream was not heard at that time
}

// An attempt is what the two reports of one attempt have in common but for the
// account, which they write in different ways.
type attempt struct {
	witness string
	name    string
	ip      netip.Addr
}

// New returns a desk for the pairs.
func New(pairs []Pair) *Desk {
	d := &Desk{heard: map[string]*heard{}}
	d.SetPairs(pairs)
	return d
}

// SetPairs replaces the pairs. What waits goes on waiting; it is believed, when
// its time has come, if its log needs nobody to vouch for it any more.
func (d *Desk) SetPairs(pairs []Pair) {
	d.pairs, d.live = map[string]Pair{}, false
	before := d.heard
	d.heard = map[string]*heard{}
	for _, p := range pairs {
		d.pairs[p.Log] = p
		d.live = d.live || p.Hearing != nil
		if d.heard[p.Witness] = before[p.Witness]; d.heard[p.Witness] == nil {
			d.heard[p.Witness] = &heard{}
		}
	}
}

// Wants adds to what the rules want of a source what the desk needs of it: of a
// stream all that confirms an event which its log is asked for, and of a log, if
// some rule listens for forgeries, all that could be one. ofLog is what the
// rules want of a log; nil is every event.
func (d *Desk) Wants(source string, ofRules func(source string) map[string]bool) map[string]bool {
	want := ofRules(source)
	if want == nil {
		return nil
	}
	all := map[string]bool{}
	for name := range want {
		all[name] = true
	}
	for log, p := range d.pairs {
		if source != log && source != p.Witness {
			continue
		}
		of := ofRules(log)
		for name := range kinds {
			if of == nil || of[event.LogForgery] || of[name] {
				all[name] = true
			}
		}
	}
	return all
}

// Take sees an event at the time now and hands on what the rules may see by it:
// the event itself, also one that it confirms, or nothing yet.
func (d *Desk) Take(ev *event.Event, now time.Time, pass func(*event.Event)) {
	if heard := d.heard[ev.Source]; heard != nil {
		heard.hear(ev)
		d.confirm(ev, now, pass)
		pass(ev)
		return
	}
	p, doubted := d.pairs[ev.Source]
	record, both := kinds[ev.Name]
	if !doubted || !both || !ev.IP.IsValid() || record && d.hearing(p).withoutRecords() {
		pass(ev)
		return
	}
	key := attempt{p.Witness, ev.Name, ev.IP}
	if d.reports.take(key, func(report *event.Event) bool { return same(ev, report) }) != nil {
		d.stats.Confirmed++
		pass(ev)
		return
	}
	if d.waiting.put(key, ev, now.Add(patience)) {
		d.stats.Unheard++
	}
}

// hear notes when a stream is heard.
func (h *heard) hear(ev *event.Event) {
	if ev.Time.After(h.last) {
		h.last = ev.Time
	}
	if ev.File != "" {
		h.Records = earliest(h.Records, ev.Time)
	} else {
		h.Events = earliest(h.Events, ev.Time)
	}
}

// Ended says that nothing more will come from a stream: what a log tells of later
// times is open.
func (d *Desk) Ended(witness string) {
	if h := d.heard[witness]; h != nil {
		h.ended = true
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// confirm lets a report of the stream speak for the log event that waits for it,
// or keeps it for one that is yet to be read.
func (d *Desk) confirm(report *event.Event, now time.Time, pass func(*event.Event)) {
	if _, both := kinds[report.Name]; !both || !report.IP.IsValid() {
		return
	}
	key := attempt{report.Source, report.Name, report.IP}
	if ev := d.waiting.take(key, func(ev *event.Event) bool { return same(ev, report) }); ev != nil {
		d.stats.Confirmed++
		pass(ev)
		return
	}
	d.reports.put(key, remembered(report), now.Add(memory))
}

// remembered is of a report what same looks at: there may be many, and callers
// decide how long the rest is.
func remembered(report *event.Event) *event.Event {
	return &event.Event{
		Time: report.Time, User: strings.Clone(report.User),
		ToUser: strings.Clone(report.ToUser), Destination: strings.Clone(report.Destination),
	}
}

// same reports whether a log event and a report of the stream are of one attempt:
// at one time, and about one account or number. The stream tells more names than
// the log does.
func same(ev, report *event.Event) bool {
	if ev.Time.Sub(report.Time).Abs() > patience {
		return false
	}
	name := ev.User
	if name == "" {
		name = ev.Destination
	}
	told := []string{report.User, report.ToUser, report.Destination}
	for _, other := range told {
		if text(other) == text(name) {
			return true
		}
	}
	return name == ""
}

// text is what a log, which has the caller's bytes, and JSON, which has only
// characters and one U+FFFD for each byte that is none, both make of a name.
func text(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return string([]rune(name))
}

// Advance hands on as forgeries what has waited long enough at the time now.
func (d *Desk) Advance(now time.Time, pass func(*event.Event)) {
	if until, waits := d.waiting.next(); waits && d.live && now.Sub(until) > late {
		d.waiting.postpone(now.Add(patience))
	}
	for ev := d.waiting.due(now); ev != nil; ev = d.waiting.due(now) {
		d.contradict(ev, now, pass)
	}
	for d.reports.due(now) != nil {
	}
}

// End hands on what still waits when nothing more will come.
func (d *Desk) End(pass func(*event.Event)) {
	for until, ok := d.waiting.next(); ok; until, ok = d.waiting.next() {
		d.Advance(until, pass)
	}
}

// Next returns when [Desk.Advance] will have something to hand on; ok is false
// where nothing waits.
func (d *Desk) Next() (at time.Time, ok bool) { return d.waiting.next() }

// Stats tells what became of log events.
func (d *Desk) Stats() Stats { return d.stats }

// contradict hands on as a forgery an event that the stream did not report, if it
// was being heard when it should have, and its report would be remembered still.
func (d *Desk) contradict(ev *event.Event, now time.Time, pass func(*event.Event)) {
	p, doubted := d.pairs[ev.Source]
	if !doubted {
		pass(ev)
		return
	}
	hearing, h := d.hearing(p), d.heard[p.Witness]
	since := hearing.Events
	if kinds[ev.Name] {
		since = hearing.Records
	}
	forgotten := now.Sub(ev.Time) > memory
	// A report that came before the stream was heard, or after its end, was missed.
	if since.IsZero() || forgotten || ev.Time.Before(since.Add(patience)) || h.ended && ev.Time.After(h.last.Add(-patience)) {
		d.stats.Unheard++
		return
	}
	d.stats.Forged++
	pass(event.Forgery(ev))
}

func (d *Desk) hearing(p Pair) Hearing {
	if p.Hearing != nil {
		return p.Hearing()
	}
	return d.heard[p.Witness].Hearing
}
