package page

import (
	"context"
	"net/http"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// A subject is what is known of one target.
type subject struct {
	Target    ban.Target
	Ban       *status.Ban // that covers the target; nil: it is not banned
	Ladder    []rung
	Groups    []group
	Endpoints []ban.Target // of it that are banned
	Trusted   *status.Trusted
	Grace     time.Time // rules do not ban it until then; zero: they do
	Trackers  []status.Tracker
}

// A rung is the term of one offence.
type rung struct {
	Term ban.Term
	Here bool // the ban in force
	Last bool // of this offence and all further ones
}

// target answers GET /ban/{ip}.
func (p *Page) target(w http.ResponseWriter, r *http.Request) error {
	c := p.guard.Caller(r)
	target, err := ban.ParseWritten(r.PathValue("ip"))
	if err != nil {
		return fault{http.StatusBadRequest, "this is neither an address nor a network, nor an endpoint, nor an account"}
	}
	text, err := p.rendered.within(key(r, c), func() ([]byte, error) {
		s, err := p.lookAt(context.WithoutCancel(r.Context()), target)
		if err != nil {
			return nil, err
		}
		return p.render("target.html", p.shown(target), c, true, s)
	})
	if err == nil {
		send(w, http.StatusOK, text)
	}
	return err
}

// mostTrackers bounds the keys among which those of a target are looked for.
const mostTrackers = 1000

func (p *Page) lookAt(ctx context.Context, target ban.Target) (s subject, err error) {
	l := p.guard.Ledger()
	s.Target, s.Endpoints, s.Trusted = target, l.Endpoints(target), p.guard.Trusted(target)
	s.Grace, _ = l.Grace(target)
	if b, ok := l.Covering(target); ok {
		if b.Evidence, b.Place = l.Evidence(&b), l.PlaceOf(b.Target); p.guard.Masked() {
			history.MaskBan(&b)
		}
		kernel, err := p.guard.Kernel(ctx, true)
		if err != nil {
			return s, err
		}
		one := kernel.Ban(&b)
		st, err := p.guard.Status(ctx)
		if err != nil {
			return s, err
		}
		s.Ban, s.Ladder, s.Groups = &one, ladder(&b, st.Rules), grouped(b.Evidence)
	}
	all, err := p.guard.Trackers(ctx, mostTrackers) // others read it, too
	for _, t := range all {
		if t.Concerns(target) {
			s.Trackers = append(s.Trackers, t)
		}
	}
	s.Trackers = p.hide(s.Trackers)
	return s, err
}

// ladder returns the terms of the rule that banned; nil if no rule of today did.
func ladder(b *ban.Ban, rules []status.Rule) (rungs []rung) {
	i := slices.IndexFunc(rules, func(r status.Rule) bool { return r.Name == b.Rule })
	if b.Rule == "" || i < 0 {
		return nil
	}
	terms := rules[i].Terms
	for n, term := range terms {
		last := n == len(terms)-1
		rungs = append(rungs, rung{Term: term, Last: last, Here: b.Offence == n+1 || last && b.Offence > n})
	}
	return rungs
}

// A group is the evidence that differs only in its time and text.
type group struct {
	Event, Source, Account string
	Proven                 bool
	First, Last            time.Time
	Items                  []ban.Evidence
}

// grouped groups evidence, in the order in which the groups begin.
func grouped(evidence []ban.Evidence) (groups []group) {
	for _, e := range evidence {
		account := e.User
		if e.Domain != "" {
			account += "@" + e.Domain
		}
		i := slices.IndexFunc(groups, func(g group) bool {
			return g.Event == e.Event && g.Source == e.Source && g.Account == account && g.Proven == e.Proven
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Event: e.Event, Source: e.Source, Account: account, Proven: e.Proven, First: e.Time})
		}
		groups[i].Items, groups[i].Last = append(groups[i].Items, e), e.Time
	}
	return groups
}
