package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// Follow reads the list at once and then in the interval, and passes the changes to
// the ledger: new targets, targets of which half the term is over, and targets that are
// not listed any more.
//
// After a failure it retries within a minute, then after twice that, up to the interval.
// Bans meanwhile end with their terms. The first list after a start is passed on as a
// whole; the bans of targets that were removed before it end with their terms, too.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	f := s.follower(stream)
	for plugin.Rest(ctx, f.turn(ctx), nil) {
	}
	return nil
}

// A follower is a feed at work. It is not safe for concurrent use.
type follower struct {
	*source
	stream   plugin.Stream
	origin   origin
	current  current
	log      *slog.Logger
	failures int    // in a row
	fault    string // the latest of them; "" after a success
}

func (s *source) follower(stream plugin.Stream) *follower {
	return &follower{source: s, stream: stream, origin: s.open(), current: newCurrent(&s.config), log: slog.With("source", s.name)}
}

// turn reads the list once and returns how long to wait until the next turn.
func (f *follower) turn(ctx context.Context) time.Duration {
	a, err := f.origin.fetch(ctx)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", f.place(), err)
	}
	if refused := f.take(ctx, a); err == nil {
		err = refused
	}
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		return f.failed(err)
	case f.fault != "":
		f.log.Info("list read again")
	}
	f.failures, f.fault = 0, ""
	f.stream.Progress.Report("list", status.Warning, "")
	return f.pace.spread(f.interval)
}

// failed reports a failure as a warning, which the engine logs, and returns how long to
// wait. It is no fault: the bans of the latest list stand meanwhile.
func (f *follower) failed(err error) time.Duration {
	f.failures++
	f.fault = err.Error()
	f.stream.Progress.Report("list", status.Warning, "list not taken, its entries stay banned until their terms end: "+f.fault)
	wait := f.pace.backOff(f.failures, f.interval)
	if later, ok := errors.AsType[laterError](err); ok {
		wait = max(wait, min(later.after, max(f.interval, time.Hour)))
	}
	return wait
}

// take makes the bans follow an answer.
func (f *follower) take(ctx context.Context, a answer) error {
	now := time.Now()
	p, err := f.current.plan(a, now)
	if err != nil {
		return fmt.Errorf("%s: %w", f.place(), err)
	}
	var outcome plugin.Outcome
	if !p.isEmpty() {
		if outcome, err = f.stream.List(ctx, p.listing); err != nil {
			return fmt.Errorf("pass on the list: %w", err)
		}
	}
	if a.kind != nothing {
		f.current.apply(p, outcome)
		f.origin.accepted()
		f.report(a, p, outcome, now)
	}
	return nil
}

// report logs an answer, and counts it: Lines are entries, Skipped the unreadable and
// wide ones, Events orders. Doubted are orders refused for trust or a grace, of one
// listing a hundred at most.
func (f *follower) report(a answer, p *plan, outcome plugin.Outcome, now time.Time) {
	spared := 0
	for i := range outcome.Refused {
		r := &outcome.Refused[i]
		if r.Standing {
			continue
		}
		if spared++; spared == 1 {
			f.log.Warn("list names a target that the ledger spares", "target", r.Target.String(), "reason", r.Why)
		}
	}
	f.stream.Progress.Update(func(s *status.Source) {
		s.Bytes += uint64(a.size)
		s.LastEvent = now
		s.Events += uint64(len(p.listing.Orders))
		s.Lines += uint64(a.list.lines)
		s.Skipped += uint64(a.list.unreadable + a.list.wide)
		s.Doubted += uint64(spared)
	})
	if !p.isEmpty() {
		f.log.Info("list taken", "listed", len(f.current.listed), "ordered", len(p.listing.Orders), "banned", outcome.Banned,
			"unbanned", outcome.Unbanned, "refused", outcome.Refusals, "unreadable", a.list.unreadable, "wide", a.list.wide)
	}
}

// A pace says how long a feed waits.
type pace struct {
	patience time.Duration  // for an answer, to its last byte
	random   func() float64 // from 0 to 1: many feeds must not ask at the same time
}

func defaultPace() pace { return pace{patience: time.Minute, random: rand.Float64} }

// spread changes a wait by up to a tenth, either way.
func (p *pace) spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*p.random()))
}

// backOff is how long to wait after so many failures in a row.
func (p *pace) backOff(failures int, interval time.Duration) time.Duration {
	const firstRetry, maxDoublings = time.Minute, 20
	return p.spread(min(firstRetry<<min(failures-1, maxDoublings), interval))
}
