package plugin

import (
	"context"
	"io"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// A SourceKind makes sources of one kind, the first label of a source block.
type SourceKind struct {
	Name string

	// New reads the block `source "kind" "name" { … }`. Mistakes are reported to the
	// block; with an error among them the source is not used, and may be nil.
	New func(b *settings.Block, env SourceEnv) Source
}

// SourceEnv is what the configuration knows of a source from outside its body.
type SourceEnv struct {
	Name string           // the reference: "log.freeswitch"; it becomes Event.Source
	Eval *hcl.EvalContext // Deprecated: read the block with its methods
}

// A Source reports what happens at the switch.
type Source interface {
	// Vocabulary says what this source can report.
	Vocabulary() Vocabulary

	// Replay decodes a recording from its start to its end and hands on its
	// events in the order in which they stand there. Only events named in
	// want need be handed on; nil wants them all. It ends at the first error
	// that emit returns. An error of reading comes back after everything that
	// could be read was handed on.
	Replay(ctx context.Context, rec Recording, want map[string]bool, emit func(*event.Event) error) (Stats, error)
}

// A Follower is a source that can also report what happens now.
type Follower interface {
	Source

	// Follow reports events to sink until ctx ends, or until it can go on no
	// longer. from is the last position that the sink was told, in an earlier
	// run perhaps, and nil where there is none; only events named in want need
	// be reported, nil wants them all.
	Follow(ctx context.Context, from []byte, want map[string]bool, sink Sink) error
}

// A Sink takes what a source reports. It belongs to one goroutine.
type Sink interface {
	// Emit hands on one event. It blocks while the engine is busy: a source that
	// cannot wait must queue and count for itself.
	Emit(*event.Event)

	// Position says how far the source has read: whoever starts there sees
	// everything that has not been emitted yet, and nothing that has. It is kept
	// once what was decided on the events before it is durable.
	Position([]byte)
}

// A Feed is a source that knows by itself who is to be banned: a list from
// elsewhere. What it lists goes to the ledger without a rule, and is refused
// there like any other order.
type Feed interface {
	Source

	// Keep hands on what is listed, and what has changed in it since, until ctx
	// ends or it can go on no longer.
	Keep(ctx context.Context, list func(context.Context, Listing) (Outcome, error)) error
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
	Lifted   int
	Refusals int           // orders that were refused
	Refused  []ban.Refusal // the first hundred of them
}

// A Witness is a source that hears the switch itself, so that it can vouch for
// what a log says.
type Witness interface {
	Follower
	// Hearing says since when it has heard everything, and since when also the
	// switch's own log records; zero: it does not, or is behind. It may be called
	// from any goroutine.
	Hearing() (events, records time.Time)
}

// A Doubter is a source whose input callers can write into, and whose events are
// therefore believed only where another source has reported the same.
type Doubter interface {
	Source
	// Witness is the reference of that source, "esl.pbx", and where the rule file
	// names it; "" if events are believed as they are.
	Witness() (ref string, where hcl.Range)
}

// A Merger is a source whose recordings tell the time throughout, so that several of
// them can be read as the one that they are parts of. Those of any other source are
// read one after the other.
type Merger interface {
	Source
	// Merge reads the recordings of one switch in the order of time. They may have
	// been taken side by side or one after the other.
	Merge(recordings []io.Reader) io.Reader
}

// An Explainer is a source that can say in words how it reads a piece of input.
type Explainer interface {
	Explain(input string) string
}

// Vocabulary says what a source can report, so that a rule which waits for what
// never comes is refused when it is loaded.
type Vocabulary struct {
	Events []string // the names of its events
	Fields []string // the keys it may set in Event.Fields; nil: not known beforehand
}

// A Recording is what a source once wrote, opened for reading.
type Recording struct {
	Name    string    // for messages: a path, or "-"
	ModTime time.Time // when it was last written to: a line without a year is older; zero if unknown
	R       io.Reader // decompressed
}

// Stats says what a replay read.
type Stats struct {
	Lines   int64 // lines, or frames where the source has no lines
	Bytes   int64
	Skipped int64 // lines that were too long to be looked at
	Doubted int64 // lines that looked like an event and were refused as evidence

	// Recognised tells that something of it, an event or not, had the form of
	// what the source reads. If nothing had, it is likely another kind of file.
	Recognised bool
}

// A Comparer tells whether another source or action was made from the same
// words, so that a reload may leave the running one alone. One that cannot
// compare is always replaced.
type Comparer interface {
	Same(other any) bool
}
