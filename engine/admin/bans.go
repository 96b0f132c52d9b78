package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"freeswitch-security/engine/ban"
)

// pageOfBans is how many bans are taken out of the ledger at once: it is locked
// meanwhile.
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
		bans := s.Guard.BansAfter(p.after, p.limit+1)
		return s.page(w, p, "bans", len(bans), func(i int) (ban.Target, any) {
			return bans[i].Target, shapeOfBan(&bans[i], standing)
		})
	}
	jsonHeader(w)
	out := s.stream(w)
	var after ban.Target
	separator := "{"
	for out.err == nil {
		bans := s.Guard.BansAfter(after, pageOfBans)
		out.allow()
		for i := range bans {
			out.text(separator)
			separator = ","
			out.text(`"` + bans[i].Target.String() + `":`)
			out.value(shapeOfBan(&bans[i], standing))
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
	b, ok := s.Guard.Covering(target)
	if !ok {
		return faultf(http.StatusNotFound, "%s is not banned", target.String())
	}
	standing, err := s.standing(r.Context(), recently)
	if err == nil && !standing.covers(b.Target) {
		standing, err = s.standing(r.Context(), justNow) // it may have come into force since
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, shapeOfBan(&b, standing))
	return nil
}

// addBan answers POST /security/blacklist.
func (s *Server) addBan(w http.ResponseWriter, r *http.Request) error {
	var q banRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	who := s.callerOf(r)
	o, err := q.order(&who, time.Now())
	if err != nil {
		return &fault{http.StatusBadRequest, err.Error()}
	}
	outcomes, err := s.block(r.Context(), []ban.Order{o})
	if err == nil {
		err = outcomes[0].refused()
	}
	s.audit(&who, changeOfBan(&o), err)
	if err != nil {
		return err
	}
	outcome := &outcomes[0]
	d := done{
		Status: success, Message: outcome.message(), Target: outcome.target().String(),
		Applied: outcome.Applied, Why: outcome.why(), ExpiresAt: moment(outcome.until()),
	}
	answer(w, http.StatusOK, d)
	return nil
}

// block has the guard enter orders, within the time of a change.
func (s *Server) block(ctx context.Context, orders []ban.Order) ([]Outcome, error) {
	var outcomes []Outcome
	err := s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = s.Guard.Block(ctx, orders)
		if err == nil && len(outcomes) != len(orders) {
			panic(fmt.Sprintf("admin: the guard gave %d outcomes for %d orders", len(outcomes), len(orders)))
		}
		return err
	})
	return outcomes, err
}

// change does something to the engine, with others that want to within bounds and
// within the time of a change. What was counted before is outdated by it.
func (s *Server) change(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.change)
	defer cancel()
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return faultf(http.StatusServiceUnavailable, "the engine is busy with other requests")
	}
	defer func() {
		<-s.busy
		s.status.outdate()
		s.kernel.outdate()
	}()
	return do(ctx)
}

// refused is why an order did not lead to a ban; nil where its target is banned.
func (o *Outcome) refused() error {
	if o.Change.Banned() {
		return nil
	}
	return faultf(http.StatusConflict, "%s not banned: %s", o.Change.Target, o.Change.Why)
}

// standing is the ban that covers the target now.
func (o *Outcome) standing() *ban.Ban {
	if o.Change.Standing {
		return o.Change.Cover
	}
	return &o.Change.Ban
}

func (o *Outcome) target() ban.Target { return o.standing().Target }

func (o *Outcome) until() time.Time { return o.standing().Until }

// message says what became of an order that was not refused.
func (o *Outcome) message() string {
	b := o.standing()
	switch {
	case o.Change.Standing:
		return fmt.Sprintf("%s is in blacklist already, %s", b.Target.String(), inWords(b.Until))
	case o.Change.Kind == ban.KindExtend:
		return fmt.Sprintf("%s stays in blacklist, now %s", b.Target.String(), inWords(b.Until))
	}
	return fmt.Sprintf("%s added to blacklist, %s", b.Target.String(), inWords(b.Until))
}

// why says why a ban is not in the kernel; "" where it is.
func (o *Outcome) why() string { return whyNot(o.Applied, o.Why) }

func whyNot(applied bool, why string) string {
	switch {
	case applied:
		return ""
	case why == "":
		return "the kernel has not answered yet"
	}
	return why
}

// inWords writes the end of something for people.
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
	who := s.callerOf(r)
	release := Release{Target: target, Author: who.author(), Reason: reasonOf(r)}
	if grace := r.URL.Query().Get("grace"); grace != "" && grace != "0" {
		term, err := parseTTL(grace)
		if err != nil || term == ban.Permanent {
			return faultf(http.StatusBadRequest, "grace: %q is not a duration such as 10m: to have it never banned, trust it", cut(grace))
		}
		if err := tooWide(target.Prefix(), widest6); err != nil {
			return &fault{http.StatusBadRequest, err.Error()}
		}
		release.Grace = time.Duration(term)
	}
	var released Released
	err = s.change(r.Context(), func(ctx context.Context) (err error) {
		released, err = s.Guard.Unblock(ctx, release)
		return err
	})
	s.audit(&who, auditEntry{"unban", target, ban.Term(release.Grace), release.Reason}, err)
	if err != nil {
		return err
	}
	d := done{
		Status: success, Target: target.String(), Applied: released.Applied,
		Why: whyNot(released.Applied, released.Why), Lifted: targetsOf(released.Lifted),
	}
	d.Message = d.Target + " was not in blacklist"
	if len(d.Lifted) > 0 {
		d.Target = d.Lifted[0]
		d.Message = d.Target + " removed from blacklist"
	}
	if release.Grace > 0 {
		d.Message += fmt.Sprintf("; rules leave %s alone for %s", target.String(), ban.FormatDuration(release.Grace))
	}
	answer(w, http.StatusOK, d)
	return nil
}

func targetsOf(changes []ban.Change) list[string] {
	var out list[string]
	for i := range changes {
		out = append(out, changes[i].Ban.Target.String())
	}
	return out
}
