package page

import (
	"context"
	"html/template"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/chart"
	"freeswitch-security/engine/history"
)

// shownFor is how far back the charts go: the shortest of these with all that happened in the last day.
var shownFor = []struct {
	name string
	time.Duration
}{{"day", 24 * time.Hour}, {"6 hours", 6 * time.Hour}, {"hour", time.Hour}, {"15 minutes", 15 * time.Minute}}

// A picture is the bars of the time that the charts show, and the lists of the last day.
type picture struct {
	Events, Bans template.HTML
	Tops         []template.HTML
}

// topItems bounds the rows of a list.
const topItems = 8

// lists are those of the largest, by the dimensions of the history.
var lists = map[string]chart.List{
	"networks":  {Title: "Attacking networks", Of: "Network", Count: "events"},
	"countries": {Title: "Attacking countries", Of: "Country", Count: "events"},
	"accounts":  {Title: "Accounts under attack", Of: "Account", Count: "events"},
	"numbers":   {Title: "Numbers dialled", Of: "Number", Count: "calls"},
	"agents":    {Title: "User agents", Of: "User agent", Count: "events"},
}

// draw draws the history; nil: there is none.
func (p *Page) draw(ctx context.Context) (*picture, error) {
	now := time.Now().UTC()
	var span *history.Span
	var tops []history.Top
	title := ""
	for i, last := range shownFor {
		from := now.Add(-last.Duration)
		if i > 0 && (len(span.Series) == 0 || beginning(span).Before(from)) {
			break
		}
		s, err := p.guard.History(ctx, from, now)
		if err != nil || s == nil {
			return nil, err
		}
		if span, title = s, " in the last "+last.name; i == 0 {
			tops = s.Tops
		}
	}
	d := &picture{
		Events: bars("events", "Events"+title, "events", span, history.KindEvent),
		Bans:   bars("bans-by-rule", "Bans"+title+", by rule", "bans", span, string(ban.KindBan)),
	}
	for _, top := range tops {
		list, known := lists[top.By]
		if !known {
			continue
		}
		list.Empty = "None in the last day."
		for _, item := range top.Items[:min(topItems, len(top.Items))] {
			list.Items = append(list.Items, chart.Item{Name: item.Name, Link: linkOf(top.By, item.Name), Value: item.Count})
		}
		d.Tops = append(d.Tops, list.HTML())
	}
	return d, nil
}

// beginning returns when the first bar begins that is not empty. The span has a series.
func beginning(span *history.Span) time.Time {
	first := len(span.Series[0].Values)
	for i := range span.Series {
		if at := slices.IndexFunc(span.Series[i].Values, func(v uint64) bool { return v > 0 }); at >= 0 {
			first = min(first, at)
		}
	}
	return span.From.Add(time.Duration(first) * time.Duration(span.Step) * time.Second)
}

// linkOf leads from a network to its page.
func linkOf(by, name string) string {
	if by != "networks" {
		return ""
	}
	return link(name)
}

// bars draws one kind of counters, each name as a series, whatever its source.
func bars(id, title, unit string, span *history.Span, kind string) template.HTML {
	b := chart.Bars{ID: "chart-" + id, Title: title, Count: unit, Start: span.From.UTC(), Step: time.Duration(span.Step) * time.Second}
	for _, s := range span.Series {
		if s.Kind != kind {
			continue
		}
		i := slices.IndexFunc(b.Series, func(c chart.Series) bool { return c.Name == s.Name.Name })
		if i < 0 {
			b.Series = append(b.Series, chart.Series{Name: s.Name.Name, Values: slices.Clone(s.Values)})
			continue
		}
		for j, v := range s.Values {
			b.Series[i].Values[j] += v
		}
	}
	return b.HTML()
}
