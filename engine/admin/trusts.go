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

// trustFor is the default term of trust. Lasting trust belongs in a rule file.
const trustFor = ban.Term(24 * time.Hour)

// trusted is the answer to an order to trust.
func trusted(t *ban.Trusted, o *engine.Outcome) (d status.Done, err error) {
	d.Target, d.Until, d.Unbanned = t.Target, t.Until, targetsOf(o.Changes)
	return d, nil
}

func trustedMessage(t *ban.Trusted, _ *engine.Outcome) string {
	return t.Target.String() + " trusted " + inWords(t.Until)
}

// trustView returns the entry as the API shows it.
func trustView(t *ban.Trusted) status.Trusted {
	return status.Trusted{
		Target: t.Target, Name: t.Name, Comment: t.Comment, Where: t.Where, RunTime: t.Author != "",
		Author: t.Author, Since: t.Since, Until: t.Until, Permanent: t.Until.IsZero(),
	}
}

// listTrusted answers GET /security/whitelist.
func (s *Server) listTrusted(w http.ResponseWriter, r *http.Request) error {
	p, err := pagingOf(r)
	if err != nil {
		return err
	}
	all := s.Engine.Ledger().AllTrusted()
	if p.page {
		for p.after.IsValid() && len(all) > 0 && all[0].Target.Compare(p.after) <= 0 {
			all = all[1:]
		}
		if n := p.limit; n < len(all) && all[n-1].Target == all[n].Target {
			p.limit++ // the entries of one target have one cursor
		}
		return s.page(w, p, "trusted", len(all), func(i int) (ban.Target, any) {
			return all[i].Target, trustView(&all[i])
		})
	}
	byTarget := make(map[ban.Target]status.Trusted, len(all))
	for i := range all {
		entry := trustView(&all[i])
		if before, known := byTarget[entry.Target]; known && !before.RunTime {
			continue // the entry of a rule file lasts longer
		}
		byTarget[entry.Target] = entry
	}
	answer(w, http.StatusOK, byTarget)
	return nil
}

// covering returns the narrowest entry that covers a target, of all entries or of
// those of the API.
func (s *Server) covering(target ban.Target, runTime bool) (ban.Trusted, bool) {
	if t := s.Engine.Ledger().TrustCovering(target, runTime); t != nil {
		return *t, true
	}
	return ban.Trusted{}, false
}

// showTrusted answers GET /security/whitelist/{ip}.
func (s *Server) showTrusted(w http.ResponseWriter, r *http.Request) error {
	target, err := targetOf(r)
	if err != nil {
		return err
	}
	t, ok := s.covering(target, false)
	if !ok {
		return faultf(http.StatusNotFound, "%s is not trusted", target.String())
	}
	answer(w, http.StatusOK, trustView(&t))
	return nil
}

// removeTrust answers DELETE /security/whitelist/{ip}.
func (s *Server) removeTrust(w http.ResponseWriter, r *http.Request) error {
	target, err := targetOf(r)
	if err != nil {
		return err
	}
	here, err := flag(r, "here")
	if err != nil {
		return err
	}
	who := s.callerOf(r)
	reason := reasonOf(r)
	d := status.Done{Status: success, Target: target, Applied: true}
	d.Message = target.String() + " was not trusted by the API"
	entry, runTime := s.covering(target, true)
	if runTime {
		err := s.change(r.Context(), func(ctx context.Context) error {
			_, err := s.Engine.Untrust(ctx, entry.Target, here)
			return err
		})
		s.audit(&who, auditEntry{what: "untrust", target: entry.Target, reason: reason, here: here}, err)
		if err != nil {
			return err
		}
		d.Target = entry.Target
		d.Message = d.Target.String() + " untrusted"
	}
	if other, ok := s.covering(target, false); ok {
		if !runTime {
			err := faultf(http.StatusConflict, "%s is trusted by %s, and that cannot be changed here",
				target.String(), other.String())
			s.audit(&who, auditEntry{what: "untrust", target: target, reason: reason, here: here}, err)
			return err
		}
		d.Message += fmt.Sprintf("; %s is still trusted by %s", target.String(), other.String())
	}
	answer(w, http.StatusOK, d)
	return nil
}
