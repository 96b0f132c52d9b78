package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/report"
)

var (
	from    = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	hostile = "</td><script>alert(1)</script>\" onload=x \u202egnp.exe\x1b[2J" + strings.Repeat("A", 300)
)

// attacked is a report of an attack whose texts are hostile.
func attacked() *report.Report {
	r := &report.Report{
		Title: hostile, Facts: []report.Fact{{Name: "events", Value: "3"}},
		Span: history.Span{From: from, To: from.Add(2 * time.Hour), Step: 3600, Series: []history.Series{
			{Name: history.Name{Kind: "ban", Name: "guessing"}, Values: []uint64{1, 2}}, {Name: history.Name{Kind: "spare", Name: hostile}, Values: []uint64{0, 1}},
			{Name: history.Name{Kind: "event", Name: "auth_failure", Source: "esl.pbx"}, Values: []uint64{7, 0}},
			{Name: history.Name{Kind: "event", Name: "auth_failure", Source: "log.freeswitch"}, Values: []uint64{7, 1}},
		}, Tops: []history.Top{{By: "networks"}, {By: "agents", Items: []history.Count{{Name: hostile, Count: 7}}}}},
	}
	for i := range 1000 {
		r.Incidents = append(r.Incidents, history.Incident{
			Target: fmt.Sprint(i, " ", hostile), Rule: hostile, Reason: hostile, Why: hostile, Bans: i % 3, Spared: i % 2, Alerts: 1, First: from, Last: from, Place: event.Place{Country: "DE", ASName: hostile},
			Evidence: []ban.Evidence{{Time: from, User: hostile, Text: hostile}, {Time: from, User: hostile, Text: hostile}},
		})
	}
	return r
}

func TestHostile(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := attacked().HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if len(page) > 1<<20 {
		t.Errorf("%d bytes", len(page))
	}
	for _, never := range []string{"<script", "\u202e", "\x1b", "src=", "http://", "https://", "url("} {
		if strings.Contains(page, never) {
			t.Errorf("%q is in the page", never)
		}
	}
	for _, want := range []string{"667 attackers were banned, 3 bans in all. 1 ban was withheld because the target is protected.", "567 more are not shown.", "2026-05-04 10:00 to 2026-05-04 12:00 UTC", "2026-05-04 10:00: 14 events: auth_failure"} {
		if want = strings.ReplaceAll(want, "667", fmt.Sprint(len(attacked().Attackers()))); strings.HasPrefix(want, "567") {
			want = fmt.Sprint(len(attacked().Attackers())-100, want[3:])
		}
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	wellFormed(t, page)
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := report.Report{Title: "pbx1", Recorded: true, Span: history.Span{From: from, To: from.Add(time.Hour), Step: 60}}
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"No attacker would have been banned.", "No rule fired.", "No bans from 2026-05-04 10:00"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in %s", want, b.String())
		}
	}
	wellFormed(t, b.String())
}

// wellFormed fails if an element is not closed where it should be, or is not where HTML allows it: then
// the tree that a browser makes of the page is another one.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if _, is := token.(xml.StartElement); is {
			elements++
		}
	}
	tree, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range tree.Descendants() {
		if n.Type == html.ElementNode {
			elements--
		}
	}
	if elements != 0 {
		t.Errorf("a browser makes other elements: %d fewer", elements)
	}
}
