package corroboration

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

const (
	// patience bounds the distance between the stamps of the two reports of one
	// attempt, and the time that a log event waits for the second one.
	patience = 2 * time.Second

	// memory is how long a report of the stream is kept for a log that is read
	// later than it was written.
	memory = time.Minute

	// late is how long after its time a log event may be judged. Beyond it the
	// program itself stood still, and reports of that time are not read yet.
	late = 500 * time.Millisecond

	// maxKept bounds the waiting log events, and the kept reports. Beyond it the
	// oldest is discarded.
	maxKept = 1 << 15
)

// A kind is an event that a log and its witness both report with an address.
type kind struct {
	name   string   // in the log, and of a stream
	record bool     // a stream knows it only from its log records
	wire   []string // what a witness on the wire reports of the same request; nil: it cannot see it
}

// kinds are all of them. A call is not among them: the log has a line for each INVITE, the
// stream only for those that got through.
var kinds = []kind{
	{event.Challenge, false, []string{event.Challenge, event.AuthStale}},
	{event.UnknownUser, true, []string{event.AuthFailure}}, // before the failure, as in the log
	{event.AuthFailure, false, []string{event.AuthFailure}},
	{event.ACLReject, true, []string{event.SIPRequest, event.SIPRequestAgain}}, // answered by 403
	{event.ESLDenied, true, nil},
	{event.AuthMalformed, true, []string{event.SIPRequest, event.SIPRequestAgain}}, // answered by 403
	{event.Malformed, true, []string{event.SIPMalformed}},
}

// kindOf returns the kind of a log event, or nil.
func kindOf(name string) *kind {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

// confirmedBy reports whether a report of a witness can confirm a log event of the kind.
func (k *kind) confirmedBy(report *event.Event, wire bool) bool {
	if !wire {
		return report.Name == k.name
	}
	return slices.Contains(k.wire, report.Name) && (report.Name != event.SIPRequest || report.Answer == 403)
}

// A Pair is a log and its witness, the stream that corroborates it.
type Pair struct {
	Log     string // the reference of the source: "log.freeswitch"
	Witness string // "esl.pbx"
	Wire    bool   // the witness is no event stream: it reads SIP on the wire
	// Hearing says how the stream is heard; nil in a replay, where a stream is
	// heard from its first event on.
	Hearing func() status.Hearing
}

// A Verifier holds log events until the stream has confirmed them. It belongs to
// one goroutine; time is an argument.
type Verifier struct {
	pairs     map[string]Pair // by log
	live      bool            // the pairs have a Hearing
	witnesses map[string]*witness
	waiting   queue // log events without a report
	stats     status.Corroborated
}

// A witness is what is known of a stream.
type witness struct {
	reports queue // without a log event
	wire    bool

	// Of a replay:
	status.Hearing           // since its first event, its first record
	last           time.Time // the latest stamp
	ended          bool
}

// An attempt is what the two reports of one attempt have in common, except the
// account, which they write in different ways.
type attempt struct {
	witness string
	name    string
	ip      netip.Addr
}

// New returns a verifier of the pairs.
func New(pairs []Pair) *Verifier {
	v := &Verifier{waiting: newQueue()}
	v.SetPairs(pairs)
	return v
}

// SetPairs replaces the pairs. Waiting events go on waiting. Those of a log that
// has no witness any more pass when their time has come.
func (v *Verifier) SetPairs(pairs []Pair) {
	before := v.witnesses
	v.pairs, v.witnesses, v.live = map[string]Pair{}, map[string]*witness{}, false
	for _, p := range pairs {
		v.pairs[p.Log] = p
		v.live = v.live || p.Hearing != nil
		w := before[p.Witness]
		if w == nil {
			w = &witness{reports: newQueue()}
		}
		w.wire, v.witnesses[p.Witness] = p.Wire, w
	}
}

// Wants returns the events that the rules and the verifier need of a source; nil
// is every event. Of a witness, the verifier needs the kinds that confirm a wanted
// event of its log. Of a log, it needs all kinds if a rule listens for forgeries.
func (v *Verifier) Wants(source string, ofRules func(source string) map[string]bool) map[string]bool {
	want := ofRules(source)
	if want == nil {
		return nil
	}
	all := maps.Clone(want)
	for log, p := range v.pairs {
		if source != log && source != p.Witness {
			continue
		}
		ofLog := ofRules(log)
		for _, k := range kinds {
			onWire := source == p.Witness && p.Wire
			if ofLog != nil && !ofLog[k.name] && (onWire || !ofLog[event.LogForgery]) {
				continue
			}
			names := []string{k.name}
			if onWire {
				names = k.wire
			}
			for _, name := range names {
				all[name] = true
			}
		}
	}
	return all
}

// Take reads an event at the time now. It passes on the event itself, also one
// that it confirms, or nothing yet.
func (v *Verifier) Take(ev *event.Event, now time.Time, pass func(*event.Event)) {
	if w := v.witnesses[ev.Source]; w != nil {
		w.hear(ev)
		v.confirm(w, ev, now, pass)
		pass(ev)
		return
	}
	p, paired := v.pairs[ev.Source]
	k := kindOf(ev.Name)
	if !paired || k == nil || !ev.IP.IsValid() || !p.Wire && k.record && v.hasNoRecords(p) {
		pass(ev)
		return
	}
	key := attempt{p.Witness, ev.Name, ev.IP}
	if v.witnesses[p.Witness].reports.take(key, func(report *event.Event) bool { return same(ev, report) }) != nil {
		v.stats.Confirmed++
		pass(ev)
		return
	}
	if v.waiting.put(key, ev, now.Add(patience)) {
		v.stats.Unheard++
	}
}

// hasNoRecords reports whether the witness is heard and has no log records. Then
// an event that the stream knows only from them passes. While the witness is not
// heard at all this is unknown: else callers who cut it off could forge any line.
func (v *Verifier) hasNoRecords(p Pair) bool {
	h := v.hearing(p)
	return !h.Events.IsZero() && h.Records.IsZero()
}

// hear notes when a stream is heard.
func (w *witness) hear(ev *event.Event) {
	if ev.Time.After(w.last) {
		w.last = ev.Time
	}
	since := &w.Events
	if ev.File != "" {
		since = &w.Records
	}
	if since.IsZero() || ev.Time.Before(*since) {
		*since = ev.Time
	}
}

// Ended says that a stream has no more events. Log events of later times are
// neither confirmed nor forgeries.
func (v *Verifier) Ended(source string) {
	if w := v.witnesses[source]; w != nil {
		w.ended = true
	}
}

// confirm passes the log events that wait for a report, or keeps the report for those that are
// not read yet.
//
// Of a failure whose nonce was sent to another address, a log names the sender, which may be
// forged. The witness counts it where the nonce went, so it confirms no line.
func (v *Verifier) confirm(w *witness, report *event.Event, now time.Time, pass func(*event.Event)) {
	if !report.IP.IsValid() || report.Fields["sender"] != "" {
		return
	}
	for i := range kinds {
		if !kinds[i].confirmedBy(report, w.wire) {
			continue
		}
		key := attempt{report.Source, kinds[i].name, report.IP}
		if ev := v.waiting.take(key, func(ev *event.Event) bool { return same(ev, report) }); ev != nil {
			v.stats.Confirmed++
			pass(ev)
			continue
		}
		// Only what same compares is kept: there may be many reports, and callers
		// decide how long the rest is.
		w.reports.put(key, &event.Event{
			Time: report.Time, Shifted: report.Shifted, User: strings.Clone(report.User),
			ToUser: strings.Clone(report.ToUser), Destination: strings.Clone(report.Destination),
		}, now.Add(memory))
	}
}

// same reports whether a log event and a report are of one attempt: at one time,
// and about one account or number. The stream has more names than the log. The stamps
// may agree as well: both are of one switch, and the offset of one may be known first.
func same(ev, report *event.Event) bool {
	apart := ev.Time.Sub(report.Time)
	if min(apart.Abs(), (apart-ev.Shifted+report.Shifted).Abs()) > patience {
		return false
	}
	name := cmp.Or(text(ev.User), text(ev.Destination))
	return name == "" || name == text(report.User) || name == text(report.ToUser) || name == text(report.Destination)
}

// text is the form that a name has in both: a log has the caller's bytes, JSON has
// U+FFFD for each byte that is not UTF-8.
func text(name string) string {
	if !utf8.ValidString(name) {
		name = string([]rune(name))
	}
	return event.Fold(name)
}

// Advance judges the log events whose time has come.
func (v *Verifier) Advance(now time.Time, pass func(*event.Event)) {
	if until, waits := v.waiting.next(); waits && v.live && now.Sub(until) > late {
		v.waiting.postpone(now.Add(patience))
	}
	for ev := v.waiting.due(now); ev != nil; ev = v.waiting.due(now) {
		v.judge(ev, now, pass)
	}
	for _, w := range v.witnesses {
		for w.reports.due(now) != nil {
		}
	}
}

// Step moves all that waits or is kept, after a step of the host's clock.
func (v *Verifier) Step(by time.Duration) {
	v.waiting.step(by)
	for _, w := range v.witnesses {
		w.reports.step(by)
	}
}

// End judges the log events that still wait.
func (v *Verifier) End(pass func(*event.Event)) {
	for until, ok := v.waiting.next(); ok; until, ok = v.waiting.next() {
		v.Advance(until, pass)
	}
}

// Next returns when the next [Verifier.Advance] is due; not ok where no event
// waits.
func (v *Verifier) Next() (at time.Time, ok bool) { return v.waiting.next() }

// Stats counts log events by outcome.
func (v *Verifier) Stats() status.Corroborated { return v.stats }

// judge passes on, as a forgery, an event that the stream did not report. The
// stream must have been heard at that time, and its report must still be kept.
//
// What a witness on the wire did not report is no evidence, and no forgery either: the switch may
// not mirror the profile, or a packet was lost.
func (v *Verifier) judge(ev *event.Event, now time.Time, pass func(*event.Event)) {
	p, paired := v.pairs[ev.Source]
	if !paired {
		pass(ev)
		return
	}
	hearing, w := v.hearing(p), v.witnesses[p.Witness]
	since := hearing.Events
	if kindOf(ev.Name).record {
		since = hearing.Records
	}
	forgotten := now.Sub(ev.Time) > memory
	// A report from before the stream was heard, or after its end, was missed. The stream
	// has no record of a line at level DEBUG.
	if p.Wire || since.IsZero() || ev.Level == "DEBUG" || forgotten || ev.Time.Before(since.Add(patience)) || w.ended && ev.Time.After(w.last.Add(-patience)) {
		v.stats.Unheard++
		return
	}
	v.stats.Forged++
	pass(event.Forgery(ev))
}

func (v *Verifier) hearing(p Pair) status.Hearing {
	if p.Hearing != nil {
		return p.Hearing()
	}
	return v.witnesses[p.Witness].Hearing
}
