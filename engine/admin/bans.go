package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// pageOfBans is how many bans are copied from the ledger at once: it is locked meanwhile.
const pageOfBans = 1000

// listBans answers GET /security/blacklist.
func (s *Server) listBans(w http.ResponseWriter, r *http.Request) error {
	p, err := pagingOf(r)
	if err != nil {
		return err
	}
	standing, err := s.standing(r.Context(), recently)
	if err != nil {
		return err
	}
	if p.page {
		bans := s.Engine.Ledger().After(p.after, p.limit+1)
		return s.page(w, p, "bans", len(bans), func(i int) (ban.Target, any) {
			return bans[i].Target, standing.Ban(s.whole(&bans[i]))
		})
	}
	jsonHeader(w)
	out := s.stream(w)
	var after ban.Target
	separator := "{"
	for out.err == nil {
		bans := s.Engine.Ledger().After(after, pageOfBans)
		out.allow()
		for i := range bans {
			out.text(separator)
			separator = ","
			out.value(bans[i].Target.String()) // an account may have a quote in it
			out.text(":")
			out.value(standing.Ban(s.whole(&bans[i])))
		}
		if len(bans) < pageOfBans {
			break
		}
		after = bans[len(bans)-1].Target
	}
	if separator == "{" {
		out.text("{")
	}
	out.text("}\n")
	return nil
}

// showBan answers GET /security/blacklist/{ip}.
func (s *Server) showBan(w http.ResponseWriter, r *http.Request) error {
	target, err := targetOf(r)
	if err != nil {
		return err
	}
	b, ok := s.Engine.Ledger().Covering(target)
	if !ok {
		text := target.String() + " is not banned"
		if endpoints := s.Engine.Ledger().Endpoints(target); len(endpoints) > 0 {
			text += fmt.Sprintf("; %d of its endpoints are, such as %s", len(endpoints), endpoints[0])
		}
		if grace, _ := s.Engine.Ledger().Grace(target); !grace.IsZero() {
			text += "; rules do not ban it " + inWords(grace)
		}
		return &fault{http.StatusNotFound, text}
	}
	standing, err := s.standing(r.Context(), recently)
	if err == nil && !standing.covers(b.Target) {
		standing, err = s.standing(r.Context(), justNow) // it may be in force since
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, standing.Ban(s.whole(&b)))
	return nil
}

// whole adds the evidence to a ban, and where its target is, and returns it.
func (s *Server) whole(b *ban.Ban) *ban.Ban {
	b.Evidence, b.Place = s.Engine.Ledger().Evidence(b), s.Engine.Ledger().PlaceOf(b.Target)
	return b
}

// change changes something in the engine, within the time of a change and with a limited
// number of others. It outdates the snapshots.
func (s *Server) change(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.change)
	defer cancel()
	busy := s.shareOf(ctx).busy
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return faultf(http.StatusServiceUnavailable, "the engine is busy with other requests")
	}
	defer func() {
		<-busy
		s.outdate()
	}()
	return do(ctx)
}

// banned is the answer to an order to ban.
func banned(_ *ban.Order, o *engine.Outcome) (d status.Done, err error) {
	if c := o.Changes[0]; !c.Banned() {
		return d, faultf(http.StatusConflict, "%s not banned: %s", c.Target, c.Why)
	}
	b := inForce(o)
	d.Target, d.Until = b.Target, b.Until
	return d, nil
}

func bannedMessage(_ *ban.Order, o *engine.Outcome) string {
	b, message := inForce(o), "%s banned %s"
	switch c := o.Changes[0]; {
	case c.Standing:
		message = "%s is already banned %s"
	case c.Kind == ban.KindExtend:
		message = "%s stays banned, now %s"
	}
	return fmt.Sprintf(message, b.Target, inWords(b.Until))
}

// inForce returns the ban in force after an order that was not refused.
func inForce(o *engine.Outcome) *ban.Ban {
	c := o.Changes[0]
	if c.Standing {
		return c.Cover
	}
	return &c.Ban
}

// inWords words the end of a ban or trust.
func inWords(until time.Time) string {
	if until.IsZero() {
		return "permanently"
	}
	return "until " + until.UTC().Format("2006-01-02 15:04:05 UTC")
}

// removeBan answers DELETE /security/blacklist/{ip}.
func (s *Server) removeBan(w http.ResponseWriter, r *http.Request) error {
	target, err := targetOf(r)
	if err != nil {
		return err
	}
	d, err := s.unban(r, target, r.URL.Query().Get("grace"), reasonOf(r))
	if err == nil {
		answer(w, http.StatusOK, d)
	}
	return err
}

// unban ends the bans that cover a target, for a caller. The grace is a duration; "" is none.
func (s *Server) unban(r *http.Request, target ban.Target, grace, reason string) (d status.Done, err error) {
	who := s.callerOf(r)
	release, err := releaseOf(r, &who, target, grace, reason)
	if err != nil {
		return d, err
	}
	var released engine.Outcome
	err = s.change(r.Context(), func(ctx context.Context) (err error) {
		released, err = s.Engine.Unban(ctx, release)
		return err
	})
	s.audit(&who, auditEntry{"unban", target, ban.Term(release.Grace), release.Reason, release.Here}, err)
	if err != nil {
		return d, err
	}
	d = status.Done{
		Status: success, Target: target, Applied: released.Applied,
		Why: released.Why, Until: released.Grace, Unbanned: targetsOf(released.Changes),
	}
	d.Message = d.Target.String() + " was not banned"
	if len(d.Unbanned) == 0 { // nothing has to be applied
		d.Applied, d.Why = true, ""
	}
	if len(d.Unbanned) > 0 {
		d.Target = d.Unbanned[0]
		d.Message = d.Target.String() + " unbanned"
	}
	if !released.Grace.IsZero() {
		d.Message += fmt.Sprintf("; rules do not ban %s %s", target, inWords(released.Grace))
	}
	return d, nil
}

// releaseOf returns the order to unban a target that a request asks for.
func releaseOf(r *http.Request, who *caller, target ban.Target, grace, reason string) (release engine.Release, err error) {
	release = engine.Release{Target: target, Author: who.author(), Reason: reason}
	if release.Here, err = flag(r, "here"); err != nil {
		return release, err
	}
	if grace != "" && grace != "0" {
		term, err := parseTTL(grace)
		if err != nil || term == ban.Permanent {
			return release, faultf(http.StatusBadRequest, "grace: %q is not a duration such as 10m: to have it never banned, trust it", cut(grace))
		}
		if err := tooWide(target.Prefix(), widest6); err != nil {
			return release, &fault{http.StatusBadRequest, err.Error()}
		}
		release.Grace = time.Duration(term)
	}
	return release, nil
}

// removeBans answers DELETE /security/blacklist: all bans, or with in those of what lies in a network.
// all must be said, so that a path that lacks its target ends no ban.
func (s *Server) removeBans(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Get("all") != "true" {
		return faultf(http.StatusBadRequest, "all: write all=true to end all bans, or name a target in the path")
	}
	var in netip.Prefix // invalid: everywhere
	if text := q.Get("in"); text != "" {
		target, err := parseTarget(text)
		network, ok := target.Network()
		if in = network; err != nil || !ok {
			return faultf(http.StatusBadRequest, "in: %q is no network such as 203.0.113.0/24", cut(text))
		}
	}
	who := s.callerOf(r)
	order, err := releaseOf(r, &who, ban.Target{}, q.Get("grace"), reasonOf(r))
	if err != nil {
		return err
	}
	order.Exact = true // a ban of a network around is wider than what was asked for
	s.allowBatch(w)
	var releases []engine.Release
	for _, b := range s.Engine.Ledger().Bans() {
		if p := b.Target.Prefix(); !in.IsValid() || p.IsValid() && p.Bits() >= in.Bits() && in.Contains(p.Addr()) {
			order.Target = b.Target
			releases = append(releases, order)
		}
	}
	answered := status.Cleared{Status: success, Applied: true}
	var grace time.Time
	var t tally
	defer func() { s.auditBatch(&who, "unban", len(releases), &t, "") }()
	for part := range slices.Chunk(releases, itemsAtOnce) {
		var all []engine.Outcome
		err := s.change(r.Context(), func(ctx context.Context) (err error) {
			all, err = s.Engine.UnbanAll(ctx, part)
			return err
		})
		if err != nil {
			return err
		}
		for i, o := range all {
			answered.Unbanned += len(o.Changes)
			grace = o.Grace
			if !o.Applied {
				answered.Applied, answered.Why = false, cmp.Or(answered.Why, o.Why)
			}
			if t.add(nil) {
				s.audit(&who, auditEntry{"unban", part[i].Target, ban.Term(order.Grace), order.Reason, order.Here}, nil)
			}
		}
	}
	answered.Message = s.clearedWords(answered.Unbanned, grace, in)
	answer(w, http.StatusOK, answered)
	return nil
}

// clearedWords says how many bans have ended, until when rules do not ban their targets, and which ban around a
// network stays.
func (s *Server) clearedWords(unbanned int, grace time.Time, in netip.Prefix) string {
	text := fmt.Sprintf("bans ended: %d", unbanned)
	if !grace.IsZero() {
		text += "; rules do not ban them " + inWords(grace)
	}
	if in.IsValid() {
		if around, ok := s.Engine.Ledger().Covering(ban.Network(in)); ok {
			text += fmt.Sprintf("; the ban of %s around %s stays", around.Target, in)
		}
	}
	return text
}

func targetsOf(changes []*ban.Change) (out status.List[ban.Target]) {
	for i := range changes {
		out = append(out, changes[i].Target)
	}
	return out
}
