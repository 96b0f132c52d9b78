package chart_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"freeswitch-security/engine/chart"
)

var start = time.Date(2026, 5, 4, 22, 0, 0, 0, time.UTC)

// hostile is what an attacker may have written.
var hostile = "<script>alert(1)</script>\" onload=x \u202egnp.exe\x1b[2J" + strings.Repeat("A", 8192)

// TestCharts: the counts are in the picture, the description and the table; nothing is needed that a
// strict policy forbids.
func TestCharts(t *testing.T) {
	t.Parallel()
	bars := chart.Bars{ID: "bans", Title: "Bans by rule", Count: "bans", Start: start, Step: time.Hour, Series: []chart.Series{
		{Name: "few", Values: []uint64{0, 0, 3, 1}}, {Name: "many", Values: []uint64{10, 0, 7, 0}}, {Name: "never", Values: []uint64{0, 0, 0, 0}},
	}}
	got := string(bars.HTML())
	for _, want := range []string{
		`<title id="bans-title">Bans by rule</title>`, "From 2026-05-04 22:00 to 2026-05-05 02:00 UTC: 21 bans, at most 10 at 2026-05-04 22:00. many: 17. few: 4.",
		"2026-05-05 00:00: 10 bans: many 7, few 3", `<th scope="row">2026-05-05 01:00</th><td>0</td><td>1</td><td>1</td>`, ">5 May</text>",
		`<rect class="series-1" x="2.1" y="48" width="0.8" height="112"/>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "never") {
		t.Error("a series without counts is shown")
	}
	list := string(chart.List{Title: "Networks", Of: "network", Count: "failures", Items: []chart.Item{
		{Name: "192.0.2.0/24", Detail: "DE", Link: "/ban/192.0.2.0%2F24", Value: 40}, {Name: "", Value: 10},
	}}.HTML())
	for _, want := range []string{`<a href="/ban/192.0.2.0%2F24"><bdi>192.0.2.0/24</bdi></a>`, `width="25%"`, "<bdi>(none)</bdi>", "<td>40</td>"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is missing in\n%s", want, list)
		}
	}
	empty := string(chart.Bars{ID: "e", Title: "Events", Count: "events", Start: start, Step: time.Hour, Series: []chart.Series{{Name: "a", Values: make([]uint64, 24)}}}.HTML())
	if !strings.Contains(empty, "No events from 2026-05-04 22:00 to 2026-05-05 22:00 UTC.") {
		t.Error(empty)
	}
	for _, page := range []string{got, list, empty, string(chart.List{Empty: "no attacks"}.HTML())} {
		strict(t, page)
	}
}

// TestHostile: names stay text, whatever they contain, and a chart of very many stays small.
func TestHostile(t *testing.T) {
	t.Parallel()
	bars := chart.Bars{ID: "x", Title: "Events", Count: "events", Start: start, Step: time.Minute}
	list := chart.List{Title: "User agents", Of: "user agent", Count: "events"}
	for i := range 1000 {
		values := make([]uint64, 1000)
		for bar := range values {
			values[bar] = uint64(i)
		}
		bars.Series = append(bars.Series, chart.Series{Name: fmt.Sprint(i, hostile), Values: values})
		list.Items = append(list.Items, chart.Item{Name: fmt.Sprint(i, hostile), Detail: hostile, Link: "javascript:alert(1)", Value: uint64(i)})
	}
	for _, page := range []string{string(bars.HTML()), string(list.HTML())} {
		strict(t, page)
		if len(page) > 2<<20 {
			t.Errorf("%d bytes", len(page))
		}
		for _, never := range []string{"<script", "\u202e", "\x1b", `href="javascript`, strings.Repeat("A", 300)} {
			if strings.Contains(page, never) {
				t.Errorf("%q is in the page", never)
			}
		}
	}
	if got := string(bars.HTML()); !strings.Contains(got, "992 others") { // 999 series count something
		t.Error("no rest is shown")
	}
}

// strict fails if a fragment is not well-formed, or has an attribute that a policy without
// 'unsafe-inline' forbids.
func strict(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
	for z := html.NewTokenizer(strings.NewReader(page)); z.Next() != html.ErrorToken; {
		for _, a := range z.Token().Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("attribute %s", a.Key)
			}
		}
	}
}
