package admin

import (
	"context"
	"fmt"
	"net/http"
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
			return bans[i].Target, standing.ban(&bans[i])
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
			out.text(`"` + bans[i].Target.String() + `":`)
			out.value(standing.ban(&bans[i]))
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
		return faultf(http.StatusNotFound, "%s is not banned", target.String())
	}
	standing, err := s.standing(r.Context(), recently)
	if err == nil && !standing.covers(b.Target) {
		standing, err = s.standing(r.Context(), justNow) // it may be in force since
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, standing.ban(&b))
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
	outcomes, err := s.ban(r.Context(), []ban.Order{o})
	if err == nil {
		err = refusal(&outcomes[0])
	}
	s.audit(&who, changeOfBan(&o), err)
	if err != nil {
		return err
	}
	c := &outcomes[0].Changes[0]
	d := status.Done{
		Status: success, Message: message(c), Target: inForce(c).Target,
		Applied: outcomes[0].Applied, Why: outcomes[0].Why, Until: inForce(c).Until,
	}
	answer(w, http.StatusOK, d)
	return nil
}

// ban enters orders, within the time of a change.
func (s *Server) ban(ctx context.Context, orders []ban.Order) (outcomes []engine.Outcome, err error) {
	err = s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = s.Engine.Ban(ctx, orders)
		return err
	})
	return outcomes, err
}

// change changes something in the engine, within the time of a change and with a limited
// number of others. It outdates the snapshots.
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

// refusal is why the target of an order is not banned; nil if it is.
func refusal(o *engine.Outcome) error {
	if c := &o.Changes[0]; !c.Banned() {
		return faultf(http.StatusConflict, "%s not banned: %s", c.Target, c.Why)
	}
	return nil
}

// inForce is the ban in force that covers the target of an order.
func inForce(c *ban.Change) *ban.Ban {
	if c.Standing {
		return c.Cover
	}
	return &c.Ban
}

// message words the result of an order that was not refused.
func message(c *ban.Change) string {
	b := inForce(c)
	switch {
	case c.Standing:
		return fmt.Sprintf("%s is already banned %s", b.Target, inWords(b.Until))
	case c.Kind == ban.KindExtend:
		return fmt.Sprintf("%s stays banned, now %s", b.Target, inWords(b.Until))
	}
	return fmt.Sprintf("%s banned %s", b.Target, inWords(b.Until))
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
	who := s.callerOf(r)
	release := engine.Release{Target: target, Author: who.author(), Reason: reasonOf(r)}
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
	var released engine.Outcome
	err = s.change(r.Context(), func(ctx context.Context) (err error) {
		released, err = s.Engine.Unban(ctx, release)
		return err
	})
	s.audit(&who, auditEntry{"unban", target, ban.Term(release.Grace), release.Reason}, err)
	if err != nil {
		return err
	}
	d := status.Done{
		Status: success, Target: target, Applied: released.Applied,
		Why: released.Why, Lifted: targetsOf(released.Changes),
	}
	d.Message = d.Target.String() + " was not banned"
	if len(d.Lifted) > 0 {
		d.Target = d.Lifted[0]
		d.Message = d.Target.String() + " unbanned"
	}
	if release.Grace > 0 {
		d.Message += fmt.Sprintf("; rules do not ban %s for %s", target, ban.FormatDuration(release.Grace))
	}
	answer(w, http.StatusOK, d)
	return nil
}

func targetsOf(changes []ban.Change) (out status.List[ban.Target]) {
	for i := range changes {
		out = append(out, changes[i].Target)
	}
	return out
}
