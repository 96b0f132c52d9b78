package plugin

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/settings"
)

// A SourceKind makes sources of one kind, the first label of a source block.
type SourceKind struct {
	Name string

	// New reads the block `source "kind" "name" { … }`. Mistakes are reported to the
	// block; with an error among them the source is not used, and may be nil.
	New func(b *settings.Block, env SourceEnv) Source
}

// SourceEnv is what the configuration knows of a source from outside its block.
type SourceEnv struct {
	Name string // the reference: "log.freeswitch"; it becomes Event.Source
}

// A Source reports what happens at the switch, or lists what is to be banned.
type Source interface {
	// Describe returns what never changes about this source.
	Describe() Description

	// Replay decodes a recording from its start to its end and emits its events in
	// their order. Only events named in want need be emitted; nil wants them all. It
	// ends at the first error of emit. An error of reading comes back after
	// everything that could be read was emitted.
	Replay(ctx context.Context, rec Recording, want map[string]bool, emit func(*event.Event) error) (Stats, error)

	// Follow reports to the stream until ctx ends and returns nil, or returns why it
	// cannot go on. The engine then starts it again after a pause.
	Follow(ctx context.Context, stream Stream) error
}

// A Recorder is a source that can write what it reads into a recording.
type Recorder interface {
	// Record writes what the source reads to w, in the form that Replay reads, until ctx or the connection
	// ends or w fails, and returns why it ended. Each call of w is one report; up is called once they come.
	Record(ctx context.Context, up func(), w io.Writer) error
}

// A Description is what never changes about a source. The zero value describes a source
// that can be followed, whose events are believed, and that reports nothing.
type Description struct {
	Events Vocabulary

	ReplayOnly bool   // Follow is never called
	Feed       bool   // lists targets instead of reporting events; no rule needs to name it
	Hears      bool   // hears the switch itself: it calls [Progress.Hear]
	Log        bool   // it reads FreeSWITCH's log, into which callers can write
	Proves     bool   // it sets Event.Proven wherever the sender cannot be forged; what it reports as unproven may be
	Path       string // of the file that it reads; "" if it reads none

	// Corroborate is the reference of the source that must have reported the same,
	// "esl.pbx"; the zero value if events are believed as they are.
	Corroborate settings.Text

	// Explain describes in words how a piece of input is read; nil if the source cannot.
	Explain func(input string) string

	// Merge reads several recordings of one switch in the order of time; nil if they
	// are read one after the other. They may have been taken side by side.
	Merge func(recordings []io.Reader) io.Reader
}

// A Vocabulary is the events that a source can report. A rule that waits for another
// one is refused when it is loaded.
type Vocabulary []EventSpec

// An EventSpec is one event and the fields that a source sets in it.
type EventSpec struct {
	Name   string
	Fields []string // fields that it may set, such as "ip"; beside the time and the source
	Raw    []string // keys of Event.Fields that it may set
	Open   bool     // it may set other keys of Event.Fields as well
}

// Add adds an event, or more fields to one that is there.
func (v *Vocabulary) Add(add EventSpec) {
	i, found := slices.BinarySearchFunc(*v, add.Name, func(s EventSpec, name string) int { return strings.Compare(s.Name, name) })
	if !found {
		*v = slices.Insert(*v, i, EventSpec{Name: add.Name})
	}
	s := &(*v)[i]
	s.Fields, s.Raw, s.Open = union(s.Fields, add.Fields), union(s.Raw, add.Raw), s.Open || add.Open
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Names returns the names of the events, sorted.
func (v Vocabulary) Names() []string {
	var names []string
	for _, s := range v {
		names = append(names, s.Name)
	}
	return names
}

// Raw returns the keys of Event.Fields that some event may set, sorted; open is whether
// there may be others.
func (v Vocabulary) Raw() (keys []string, open bool) {
	for _, s := range v {
		keys, open = append(keys, s.Raw...), open || s.Open
	}
	return union(keys, nil), open
}

// A Recording is what a source once wrote, opened for reading.
type Recording struct {
	Name    string    // for messages: a path, or "-"
	ModTime time.Time // when it was last written to: a line without a year is older; zero: now
	R       io.Reader // decompressed
}

// Stats counts what a replay read.
type Stats struct {
	Lines   int64 // lines, or frames where the source has no lines
	Bytes   int64
	Skipped int64  // lines too long to decode
	Doubted int64  // lines that look like an event and are discarded as evidence
	Note    string // what else was not read, and why; "": nothing

	// Recognised is set if a part of it, an event or not, has the form of what the
	// source reads. Otherwise it is likely another kind of file.
	Recognised bool
}

// A Stream is what a source is given to follow.
type Stream struct {
	Sink
	From     []byte          // the latest position that was kept; nil if there is none
	Want     map[string]bool // names of events that need be reported, event.SIPRequestAgain, and, if its events are open, event.Raw of the raw fields that rules read; nil wants all
	Progress *Progress

	// Ready says that from now on nothing is missed: what was written before is
	// history. The engine reports that the source is followed only then, or after
	// five seconds. A source that has no beginning calls it at once.
	Ready func()

	// Offer hands on the events of a burst like Emit, if the engine has nothing else to do. It reports whether it
	// has taken them. It never waits for other work of the engine; nil takes none. Trap: events that were emitted
	// before must have left Emit.
	Offer func(burst []*event.Event) bool

	// List hands on what a feed lists to the ledger, where it needs no rule. It blocks
	// until the outcome is durable.
	List func(context.Context, Listing) (Outcome, error)
}

// A Sink takes what a source reports. It belongs to one goroutine.
type Sink interface {
	// Emit hands on one event, dated by the stamp of what was read. An event without a
	// time happens now. An event that was read as soon as it was written is marked as live: the
	// engine learns from it how far the clock of the stamps is off, and its ban begins now.
	// Emit blocks while the engine is busy: a source that cannot wait must queue and count
	// for itself. The event belongs to the engine from then on.
	Emit(*event.Event)

	// Position says how far the source has read. A source that starts there sees
	// everything that has not been emitted yet, and nothing that has. It is kept
	// once what was decided on the events before it is durable.
	Position([]byte)
}

// FeedAuthor is how the author of a feed's orders begins; its name follows.
const FeedAuthor = "feed "

// A Listing is a change in what a feed lists.
type Listing struct {
	Author string         // of all its orders, now and before: "feed apiban"
	Orders []ban.Order    // to be banned
	Gone   []netip.Prefix // listed no longer: their bans end, if they are the feed's
}

// An Outcome says what became of a listing. It is durable.
type Outcome struct {
	Banned   int
	Unbanned int
	Refusals int          // orders that were refused
	Refused  []ban.Change // the first hundred of them
}
