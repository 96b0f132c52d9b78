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

// shownFor is how far back the charts go.
const shownFor = 24 * time.Hour

// A picture is what happened in the last day.
type picture struct {
	Events, Bans template.HTML
	Tops         []template.HTML
}

// topItems bounds the rows of a list.
const topItems = 8

// tops are the lists of the largest, by the dimensions of the history.
var tops = map[string]chart.List{
	"networks":  {Title: "Attacking networks", Of: "Network", Count: "events"},
	"countries": {Title: "Attacking countries", Of: "Country", Count: "events"},
	"accounts":  {Title: "Accounts under attack", Of: "Account", Count: "events"},
	"numbers":   {Title: "Numbers dialled", Of: "Number", Count: "calls"},
	"agents":    {Title: "User agents", Of: "User agent", Count: "events"},
}

// draw draws the history of the last day; nil: there is none.
func (p *Page) draw(ctx context.Context) (*picture, error) {
	now := time.Now().UTC()
	span, err := p.guard.History(ctx, now.Add(-shownFor), now)
	if err != nil || span == nil {
		return nil, err
	}
	d := &picture{
		Events: bars("events", "Events in the last day", "events", span, history.KindEvent),
		Bans:   bars("bans-by-rule", "Bans in the last day, by rule", "bans", span, string(ban.KindBan)),
	}
	for _, top := range span.Tops {
		list, known := tops[top.By]
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
