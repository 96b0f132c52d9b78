package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/chart"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
)

// A Report is all that is shown. Its times are in UTC.
type Report struct {
	Title     string // what the report is about
	Recorded  bool   // of recordings: the rules would have done it
	Span      history.Span
	Incidents []history.Incident
	Facts     []Fact
}

// A Fact is a number, or a short text, with its name and a remark, which may be "".
type Fact struct{ Name, Value, Remark string }

// A Rule is what a rule did.
type Rule struct {
	Name                                    string
	Bans, Extended, Alerts, Spared, Refused uint64
}

// Rules returns what each rule did, in the order of their names.
func (r *Report) Rules() []Rule {
	rules := map[string]*Rule{}
	for _, s := range r.Span.Series {
		if !slices.Contains(ban.Kinds, ban.Kind(s.Kind)) {
			continue
		}
		one := rules[s.Name.Name]
		if one == nil {
			one = &Rule{Name: s.Name.Name}
			rules[one.Name] = one
		}
		switch n := s.Total(); ban.Kind(s.Kind) {
		case ban.KindBan:
			one.Bans += n
		case ban.KindExtend:
			one.Extended += n
		case ban.KindAlert:
			one.Alerts += n
		case ban.KindSpare:
			one.Spared += n
		case ban.KindRefuse:
			one.Refused += n
		}
	}
	var out []Rule
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if one := rules[name]; *one != (Rule{Name: name}) {
			out = append(out, *one)
		}
	}
	return out
}

// Total is the sum of the counters of a kind.
func (r *Report) Total(kind string) (n uint64) {
	for i := range r.Span.Series {
		if s := &r.Span.Series[i]; s.Kind == kind {
			n += s.Total()
		}
	}
	return n
}

// Attackers returns the incidents with a ban: the most bans first, of these the most dropped packets, then the latest.
func (r *Report) Attackers() []history.Incident {
	return r.incidents(func(i *history.Incident) bool { return i.Bans > 0 || i.Banned }, func(a, b *history.Incident) int {
		return cmp.Or(cmp.Compare(b.Bans, a.Bans), cmp.Compare(b.Packets, a.Packets))
	})
}

// Withheld returns the incidents that were spared or refused.
func (r *Report) Withheld() []history.Incident {
	return r.incidents(func(i *history.Incident) bool { return i.Spared+i.Refused > 0 && i.Why != "" }, func(a, b *history.Incident) int {
		return cmp.Compare(b.Spared+b.Refused, a.Spared+a.Refused)
	})
}

// Alerted returns the incidents of which rules told, and that are not banned.
func (r *Report) Alerted() []history.Incident {
	return r.incidents(func(i *history.Incident) bool { return i.Alerts > 0 && i.Bans == 0 }, func(a, b *history.Incident) int { return cmp.Compare(b.Alerts, a.Alerts) })
}

func (r *Report) incidents(which func(*history.Incident) bool, order func(a, b *history.Incident) int) []history.Incident {
	var out []history.Incident
	for i := range r.Incidents {
		if which(&r.Incidents[i]) {
			out = append(out, r.Incidents[i])
		}
	}
	slices.SortStableFunc(out, func(a, b history.Incident) int {
		return cmp.Or(order(&a, &b), b.Last.Compare(a.Last), strings.Compare(a.Target, b.Target))
	})
	return out
}

// Headline says what happened, in a sentence.
func (r *Report) Headline() string {
	attackers := len(r.Attackers())
	verb, were := "were", "was"
	if r.Recorded {
		verb, were = "would have been", "would have been"
	}
	if attackers != 1 {
		were = verb
	}
	if attackers == 0 {
		return "No attacker " + were + " banned."
	}
	s := fmt.Sprintf("%s %s banned, %s in all.", count(uint64(attackers), "attacker"), were, count(r.Total(string(ban.KindBan)), "ban"))
	if spared := r.Total(string(ban.KindSpare)); spared > 0 {
		s += fmt.Sprintf(" %s %s withheld because the target is protected.", count(spared, "ban"), map[bool]string{true: "was", false: "were"}[spared == 1])
	}
	return s
}

func count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

// maxRows bounds the rows of a table.
const maxRows = 100

//go:embed report.html
var page string

//go:embed report.css
var style string

// pages is parsed by the first report: most verbs write none.
var pages = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Funcs(funcs).Parse(page)) })

var funcs = template.FuncMap{
	"text":  event.Printable,
	"stamp": stamp,
	"style": func() template.CSS { return template.CSS(chart.CSS + style) },
	"rows":  func(all []history.Incident) []history.Incident { return all[:min(len(all), maxRows)] },
	"more":  func(all []history.Incident) int { return max(0, len(all)-maxRows) },
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// HTML writes the file.
func (r *Report) HTML(w io.Writer) error { return pages().Execute(w, r) }

// Range is the time of the report.
func (r *Report) Range() string {
	return r.Span.From.UTC().Format("2006-01-02 15:04") + " to " + r.Span.To.UTC().Format("2006-01-02 15:04") + " UTC"
}

// Pictures are the charts over time.
func (r *Report) Pictures() []template.HTML {
	bans := r.bars("bans", "Bans by rule", "bans", func(s *history.Series) (string, bool) { return s.Name.Name, s.Kind == string(ban.KindBan) })
	events := r.bars("events", "Events", "events", func(s *history.Series) (string, bool) { return s.Name.Name, s.Kind == history.KindEvent })
	alerts := r.bars("alerts", "Alerts and spared targets by rule", "decisions", func(s *history.Series) (string, bool) {
		return s.Name.Name + ": " + s.Kind, s.Kind == string(ban.KindAlert) || s.Kind == string(ban.KindSpare)
	})
	pictures := []template.HTML{bans.HTML(), events.HTML(), alerts.HTML()}
	if r.Total(history.KindDropped) > 0 {
		dropped := r.bars("dropped", "Dropped packets", "packets", func(s *history.Series) (string, bool) { return "dropped", s.Kind == history.KindDropped })
		pictures = append(pictures, dropped.HTML())
	}
	return pictures
}

// bars makes a chart of the series that which names; those of one name are one.
func (r *Report) bars(id, title, count string, which func(*history.Series) (name string, ok bool)) chart.Bars {
	b := chart.Bars{ID: id, Title: title, Count: count, Start: r.Span.From.UTC(), Step: time.Duration(r.Span.Step) * time.Second}
	index := map[string]int{}
	for i := range r.Span.Series {
		s := &r.Span.Series[i]
		name, ok := which(s)
		if !ok {
			continue
		}
		at, known := index[name]
		if !known {
			at = len(b.Series)
			index[name] = at
			b.Series = append(b.Series, chart.Series{Name: name, Values: make([]uint64, len(s.Values))})
		}
		for k, v := range s.Values {
			b.Series[at].Values[k] += v
		}
	}
	return b
}

// titles are of the lists, by dimension.
var titles = map[string][2]string{
	"networks":  {"Networks that attacked", "network"},
	"countries": {"Countries that attacked", "country"},
	"accounts":  {"Accounts under attack", "account"},
	"numbers":   {"Numbers dialled", "number"},
	"agents":    {"User agents", "user agent"},
}

// Lists are the charts of the largest, of those that have any.
func (r *Report) Lists() []template.HTML {
	var out []template.HTML
	for _, top := range r.Span.Tops {
		if len(top.Items) == 0 {
			continue
		}
		title, known := titles[top.By]
		if !known {
			title = [2]string{top.By, "name"}
		}
		l := chart.List{Title: title[0], Of: title[1], Count: "refusals"}
		for _, c := range top.Items[:min(10, len(top.Items))] {
			l.Items = append(l.Items, chart.Item{Name: c.Name, Value: c.Count})
		}
		out = append(out, l.HTML())
	}
	return out
}
