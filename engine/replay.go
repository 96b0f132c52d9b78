package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// An Input is one stream of a replay: a source and its recording.
type Input struct {
	Ref       string // the source's reference, for messages
	Node      string // of a fleet, whose recording it is; "": of this one
	Source    plugin.Source
	Recording plugin.Recording
	Want      []string // events that are emitted even if no rule uses them
}

// batchSize is the number of events that a source hands over at once: the hand-over then
// costs nothing beside the decoding.
const batchSize = 256

// Replay decides on recordings as it would have been decided then: time is that of the
// events. Several inputs are merged by it. each, if not nil, sees every event after the
// rules did. The error says what could not be read; the rest was decided on. Bans in force
// at the end remain. Events that the bans would have prevented do not count, unless they are
// asked for as recorded.
func (e *Engine) Replay(ctx context.Context, inputs []Input, each func(*event.Event)) ([]plugin.Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.dry = !e.options.AsRecorded
	stats := make([]plugin.Stats, len(inputs))
	errs := make([]error, len(inputs))
	var joined []string
	streams := make([]*stream, len(inputs))
	open := map[string]int{} // streams of each source that have not ended
	var reading sync.WaitGroup
	for _, in := range inputs {
		joined = append(joined, in.Node)
	}
	e.join(joined)
	for i, in := range inputs {
		s := &stream{batches: make(chan []*event.Event, 4), node: in.Node}
		if written := in.Recording.ModTime; !written.IsZero() {
			s.horizon = written.Add(skew)
		}
		streams[i] = s
		open[in.Ref]++
		s.over = func() {
			if open[in.Ref]--; open[in.Ref] == 0 {
				e.verifier.Ended(in.Ref)
			}
		}
		want := e.wants(in.Ref, in.Want...)
		reading.Go(func() {
			defer close(s.batches)
			var err error
			if stats[i], err = in.Source.Replay(ctx, in.Recording, want, s.emit(ctx)); err != nil {
				errs[i] = fmt.Errorf("source %s: %s: %w", in.Ref, in.Recording.Name, err)
			}
			s.flush(ctx)
		})
	}
	for ev := earliest(streams); ev != nil; ev = earliest(streams) {
		now := e.now
		if ev.Time.After(now) {
			now = ev.Time
		}
		e.observe(ev, now)
		if each != nil {
			each(ev)
		}
		if err := e.settle(); err != nil {
			return stats, err
		}
	}
	e.verifier.End(e.believe)
	reading.Wait()
	if err := e.settle(); err != nil {
		return stats, err
	}
	return stats, errors.Join(errs...)
}

// SetAside returns how many events did not count, because the bans would have dropped their packets.
func (e *Engine) SetAside() uint64 { return e.aside }

// A stream is the events of one input on their way to the core. The reading goroutine fills
// it through emit and flush, the core empties it.
type stream struct {
	node    string
	batches chan []*event.Event
	filling []*event.Event
	reading []*event.Event
	over    func() // called by the core when it has taken everything; nil after that

	horizon time.Time // events after it are stamped in the future; zero: not known
	latest  time.Time // of the events so far
}

// skew is how far the clock that stamped a recording may be ahead of the one that dated its
// file.
const skew = 24 * time.Hour

// clamp makes an event with a time in the future count as now: it was written before its
// file was last written to. If the first event lies in the future, the date of the file is
// wrong.
func (s *stream) clamp(ev *event.Event) {
	switch {
	case s.horizon.IsZero() || !ev.Time.After(s.horizon):
	case s.latest.IsZero():
		s.horizon = time.Time{}
	default:
		ev.Time = s.latest
	}
	if ev.Time.After(s.latest) {
		s.latest = ev.Time
	}
}

// emit returns the function that a source passes its events to.
func (s *stream) emit(ctx context.Context) func(*event.Event) error {
	return func(ev *event.Event) error {
		s.clamp(ev)
		ev.Node = s.node
		s.filling = append(s.filling, ev)
		if len(s.filling) < batchSize {
			return nil
		}
		return s.flush(ctx)
	}
}

func (s *stream) flush(ctx context.Context) error {
	select {
	case s.batches <- s.filling:
		s.filling = make([]*event.Event, 0, batchSize)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// head returns the stream's next event without taking it, and nil at its end.
func (s *stream) head() *event.Event {
	for len(s.reading) == 0 {
		batch, more := <-s.batches
		if !more {
			if s.over != nil {
				s.over()
				s.over = nil
			}
			return nil
		}
		s.reading = batch
	}
	return s.reading[0]
}

// earliest takes the event with the lowest time off the streams; of two with the
// same, that of the earlier stream. It returns nil when all are empty.
func earliest(streams []*stream) *event.Event {
	var next *stream
	for _, s := range streams {
		if ev := s.head(); ev != nil && (next == nil || ev.Time.Before(next.reading[0].Time)) {
			next = s
		}
	}
	if next == nil {
		return nil
	}
	ev := next.reading[0]
	next.reading = next.reading[1:]
	return ev
}

// A node is another node of a fleet whose events are replayed, or given in a test: its rules count
// what it reports, and hear what the others count. Bans, registrations and brakes are shared.
type node struct {
	name  string
	rules *rule.Set
}

// join has the events of several nodes count as in a fleet of them. It must be called before the
// first event; names may repeat. An empty name is this node.
func (e *Engine) join(names []string) {
	if !slices.ContainsFunc(names, func(name string) bool { return name != "" }) {
		return
	}
	e.nodes = []node{{"", e.rules}}
	for _, name := range names {
		if !slices.ContainsFunc(e.nodes, func(n node) bool { return n.name == name }) {
			set := rule.NewSet(e.cfg.Rules)
			set.Apart = e.apart
			e.nodes = append(e.nodes, node{name, set})
		}
	}
	for _, n := range e.nodes {
		n.rules.Tell = func(id rule.ID, _ *rule.Spec, ev *event.Event, what rule.Told) {
			for _, other := range e.nodes {
				if other.name != n.name {
					other.rules.Hear(id, ev, what, e.fired)
				}
			}
		}
	}
}

// rulesOf returns the rules that count what a node reports: those of this node if it has not joined.
func (e *Engine) rulesOf(name string) *rule.Set {
	for _, n := range e.nodes {
		if n.name == name {
			return n.rules
		}
	}
	return e.rules
}
