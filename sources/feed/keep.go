package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A ledger takes what is listed; see [plugin.Stream].
type ledger = func(context.Context, plugin.Listing) (plugin.Outcome, error)

// Follow looks at the list at once and then in the interval, and hands on what it
// changes: targets that are new, those of which half the term is over, and those
// that are listed no longer. It returns nil when ctx has ended.
//
// After a failure it tries again within a minute, then after twice that, up to the
// interval. What was listed meanwhile ends with its terms. The first list after a
// start is handed on as a whole; what has been taken off it since an earlier run
// cannot be known then, and ends with its terms, too.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	k := &keeper{
		source: s, origin: s.open(), ledger: stream.List, progress: stream.Progress, log: slog.With("source", s.name),
		standing: standing{config: &s.config, listed: map[netip.Prefix]*held{}},
	}
	for {
		wait := k.turn(ctx)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// A keeper is a feed at work. It belongs to one goroutine.
type keeper struct {
	*source
	origin   origin
	ledger   ledger
	standing standing
	progress *plugin.Progress
	log      *slog.Logger

	failures int    // in a row
	fault    string // the last of them; "" if the last turn went well
}

// turn looks at the list once and says how long to wait until the next time.
func (k *keeper) turn(ctx context.Context) time.Duration {
	a, err := k.origin.fetch(ctx)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", k.place(), err)
	}
	if untaken := k.take(ctx, a); err == nil {
		err = untaken
	}
	if ctx.Err() != nil {
		return 0
	}
	if err == nil {
		k.well()
		return k.pace.spread(k.interval)
	}
	k.failures++
	wait := k.pace.backOff(k.failures, k.interval)
	var later laterError
	if errors.As(err, &later) {
		wait = max(wait, min(later.after, max(k.interval, time.Hour)))
	}
	k.failed(err)
	return wait
}

// take carries out what an answer changes.
func (k *keeper) take(ctx context.Context, a answer) error {
	now := time.Now()
	p, err := k.standing.plan(a, now)
	if err != nil {
		return fmt.Errorf("%s: %w", k.place(), err)
	}
	var outcome plugin.Outcome
	if !p.empty() {
		if outcome, err = k.ledger(ctx, p.listing); err != nil {
			return fmt.Errorf("hand on the list: %w", err)
		}
	}
	if a.kind != nothing {
		k.standing.carriedOut(p, outcome)
		k.origin.accepted()
		k.count(a, p, outcome, now)
		k.tell(a, p, outcome)
	}
	return nil
}

// tell logs what became of an answer, if anything did.
func (k *keeper) tell(a answer, p *plan, outcome plugin.Outcome) {
	if p.empty() {
		return
	}
	unreadable, wide := 0, 0
	if a.list != nil {
		unreadable, wide = a.list.unreadable, a.list.wide
	}
	k.log.Info("list taken", "listed", len(k.standing.listed), "ordered", len(p.listing.Orders), "renewed", p.renewals,
		"banned", outcome.Banned, "lifted", outcome.Lifted, "refused", outcome.Refusals, "unreadable", unreadable, "wide", wide)
	for i := range outcome.Refused {
		if r := &outcome.Refused[i]; r.Standing == nil {
			k.log.Warn("list names whom the ledger spares", "ip", r.Order.Target.String(), "reason", r.Reason)
			return // one is enough to have somebody look
		}
	}
}

func (k *keeper) well() {
	if k.fault != "" {
		k.log.Info("list can be had again")
	}
	k.failures, k.fault = 0, ""
	k.progress.Update(func(s *status.Source) { s.Warning = "" })
}

// failed reports a failure as a warning, which the engine logs. It is no fault: the bans
// of the latest list stand meanwhile.
func (k *keeper) failed(err error) {
	k.fault = err.Error()
	k.progress.Update(func(s *status.Source) {
		s.Warning = "list not taken, its entries stay banned until their terms end: " + k.fault
	})
}
