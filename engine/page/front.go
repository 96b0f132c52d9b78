package page

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// A front is what the first page shows.
type front struct {
	*status.Status
	Steps    []step
	Problems []status.Problem
	Bans     bans
	Latest   []ban.Ban        // the bans that the feed begins with, the newest first; none with ?live
	Picture  *picture         // nil: it was not asked for, or there is no history
	Close    []status.Tracker // the keys closest to a ban
	Rules    []status.Rule    // those that did something last come first
	Node     string           // of the fleet; "": in none
	Now      time.Time
	Caller   Caller
}

// front answers GET /. With ?only=bans the answer is the table of bans alone, with ?live the page without the charts
// and the latest bans.
func (p *Page) front(w http.ResponseWriter, r *http.Request) error {
	c, query := p.guard.Caller(r), r.URL.Query()
	q := queryOf(query)
	q.masked = c.Viewer && p.guard.Masked()
	text, err := p.rendered.within(key(r, c), func() ([]byte, error) {
		ctx := context.WithoutCancel(r.Context())
		if query.Get("only") == "bans" {
			list, err := p.list(ctx, q)
			if err != nil {
				return nil, err
			}
			var b bytes.Buffer
			err = p.templates.ExecuteTemplate(&b, "bans", &front{Bans: list, Now: time.Now(), Caller: c})
			return b.Bytes(), err
		}
		f, err := p.look(ctx, q)
		if err != nil {
			return nil, err
		}
		if !query.Has("live") {
			f.Latest = p.latest()
			if f.Picture, err = p.draw(ctx); err != nil {
				return nil, err
			}
		}
		f.Now, f.Caller = time.Now(), c
		return p.render("front.html", "", c, true, &f)
	})
	if err == nil {
		send(w, http.StatusOK, text)
	}
	return err
}

// mostClose bounds the keys that are shown as close to a ban.
const mostClose = 15

func (p *Page) look(ctx context.Context, q Query) (f front, err error) {
	if f.Status, err = p.guard.Status(ctx); err != nil {
		return f, err
	}
	if f.Close, err = p.close(ctx); err != nil {
		return f, err
	}
	f.Close = p.hide(f.Close)
	if f.Bans, err = p.list(ctx, q); err != nil {
		return f, err
	}
	f.Steps, f.Problems = stepsOf(f.Status), f.Status.Problems
	f.Rules = slices.Clone(f.Status.Rules)
	slices.SortStableFunc(f.Rules, func(a, b status.Rule) int {
		return cmp.Or(b.LastFiring.Compare(a.LastFiring), cmp.Compare(b.Matches, a.Matches))
	})
	if f.Fleet != nil {
		f.Node = f.Fleet.Node
	}
	return f, nil
}

// close returns the keys closest to a ban. Those of banned targets are left out.
func (p *Page) close(ctx context.Context) (keys []status.Tracker, err error) {
	all, err := p.guard.Trackers(ctx, mostTrackers)
	for _, t := range all {
		if target, err := ban.ParseTarget(t.Key); err == nil {
			if _, banned := p.guard.Ledger().Covering(target); banned {
				continue
			}
		}
		if keys = append(keys, t); len(keys) == mostClose {
			break
		}
	}
	return keys, err
}

// mostLatest bounds the bans that the feed begins with.
const mostLatest = 20

// latest returns the bans in force that began last, the newest first.
func (p *Page) latest() (latest []ban.Ban) {
	l := p.guard.Ledger()
	targets, _, _ := p.bans.look(l).find(&Query{Sort: "since", Desc: true})
	for _, target := range targets[:min(len(targets), mostLatest)] {
		b, ok := l.Get(target)
		if !ok {
			continue // it has just ended
		}
		if p.guard.Masked() {
			history.MaskBan(&b)
		}
		latest = append(latest, b)
	}
	return latest
}

// bans is one page of the bans in force.
type bans struct {
	Query
	Rows       []status.Ban
	Found, All int
	First      int // number of the first row; 0: there is none
	Columns    []heading
}

// Last is the number of the last row.
func (b *bans) Last() int { return b.First + len(b.Rows) - 1 }

// Before and After are the pages around this one; "": there is none.
func (b *bans) Before() string {
	q := b.Query
	if q.Page--; q.Page < 1 {
		return ""
	}
	return q.URL()
}

func (b *bans) After() string {
	if b.Found == 0 || b.Last() >= b.Found {
		return ""
	}
	q := b.Query
	q.Page++
	return q.URL()
}

// A heading is a column by which the bans can be sorted.
type heading struct {
	Name, Class string
	By, Link    string // "": the bans cannot be sorted by it
	Sorted      string // "ascending", "descending", or "" by another
}

func (p *Page) list(ctx context.Context, q Query) (b bans, err error) {
	kernel, err := p.guard.Kernel(ctx, false)
	if err != nil {
		return b, err
	}
	l := p.guard.Ledger()
	targets, found, all := p.bans.look(l).find(&q)
	b = bans{Query: q, Found: found, All: all}
	for _, target := range targets {
		if one, ok := l.Get(target); ok { // else it has just ended
			one.Place = l.PlaceOf(target)
			b.Rows = append(b.Rows, kernel.Ban(&one))
		}
	}
	if len(b.Rows) > 0 {
		b.First = (q.Page-1)*perPage + 1
	}
	for _, h := range []heading{
		{Name: "Target", By: "target"}, {Name: "Rule", By: "rule"}, {Name: "Since", By: "since", Class: "wide"}, {Name: "Ends", By: "until"},
		{Name: "Offence", By: "offence", Class: "number wide"}, {Name: "Dropped", Class: "number wide"},
	} {
		if h.By != "" {
			to := Query{Text: q.Text, Sort: h.By, Page: 1, Desc: h.By == "since" || h.By == "offence"}
			if h.By == q.Sort {
				to.Desc, h.Sorted = !q.Desc, "ascending"
				if q.Desc {
					h.Sorted = "descending"
				}
			}
			h.Link = to.URL()
		}
		b.Columns = append(b.Columns, h)
	}
	return b, nil
}

// A step is one part of what the guard does, and what is wrong with it.
type step struct {
	Name     string // "sees"
	Severity status.Severity
	Text     string
}

// stepsOf says whether the guard sees, decides and bans, and whether it notifies if there is an action that does. A problem
// belongs to one of them, by its subject.
func stepsOf(s *status.Status) []step {
	steps := []step{{Name: "sees"}, {Name: "decides"}, {Name: "bans"}}
	notifies := map[string]bool{} // by the subject of its problems
	delivered := uint64(0)
	for i := range s.Actions {
		if d := s.Actions[i].Delivery; d != nil {
			notifies["action "+s.Actions[i].Name] = true
			delivered += d.Delivered
		}
	}
	if len(notifies) > 0 {
		steps = append(steps, step{Name: "notifies", Text: count(int(delivered), "notification") + " delivered"})
	}
	problems := make([][]status.Problem, len(steps))
	for _, p := range s.Problems {
		kind, _, _ := strings.Cut(p.Subject, " ")
		at := 1
		if notifies[p.Subject] {
			problems[3] = append(problems[3], p)
			continue
		}
		switch kind {
		case "source", "sources":
			at = 0
		case "action", "actions", "kernel", "dry", "security":
			at = 2
		}
		problems[at] = append(problems[at], p)
	}
	heard := 0
	for i := range s.Sources {
		if s.Sources[i].Running && s.Sources[i].Fault == "" {
			heard++
		}
	}
	steps[0].Text = count(heard, "source") + " heard, " + count(int(s.Stats.Events), "event")
	steps[1].Text = count(len(s.Rules), "rule") + ", " + count(int(s.Stats.Firings), "firing")
	steps[2].Text = count(s.Stats.ActiveBans, "ban") + " in force"
	for i := range steps {
		steps[i].Severity = status.Worst(problems[i])
		if steps[i].Severity != status.OK {
			steps[i].Text = problems[i][0].String() // the worst comes first
		}
	}
	return steps
}

// Verdict is the first line in words.
func (f *front) Verdict() string {
	var wrong []string
	for _, s := range f.Steps {
		if s.Severity == status.Critical {
			wrong = append(wrong, map[string]string{"sees": "attacks are not seen", "decides": "decisions fail", "bans": "bans are not enforced", "notifies": "notifications fail"}[s.Name])
		}
	}
	switch {
	case len(wrong) > 0:
		return strings.ToUpper(wrong[0][:1]) + strings.Join(wrong, ", ")[1:]
	case f.Severity == status.Warning:
		return "Degraded"
	}
	return "No problems"
}
