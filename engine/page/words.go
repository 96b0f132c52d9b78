package page

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// words are the functions of the templates.
var words = template.FuncMap{
	"text":  event.Printable, // of an attacker
	"count": count,
	"n":     number,
	"about": about,
	"ago":   func(t, now time.Time) string { return about(now.Sub(t)) + " ago" },
	"in":    func(t, now time.Time) string { return "in " + about(t.Sub(now)) },
	"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"clock": clock,
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"within": func(s status.Seconds) string {
		if s == 0 {
			return "at once"
		}
		return "in " + ban.FormatDuration(s.Duration())
	},
	"page":    pageOf,
	"link":    link,
	"bytes":   func(n *uint64) string { return size(*n) },
	"missing": func(b *status.Ban) bool { return b.Applied != nil && !*b.Applied },
	"form":    formOf,
	"forms":   forms,
	"trackers": func(list []status.Tracker, now time.Time) any {
		return struct {
			List []status.Tracker
			Now  time.Time
		}{list, now}
	},
}

// pageOf is the address of the page of a target.
func pageOf(t ban.Target) string { return "/ban/" + url.PathEscape(t.String()) }

// shown is a target as a person sees it.
func (p *Page) shown(t ban.Target) string {
	if p.guard.Masked() {
		return event.Printable(history.MaskTarget(t))
	}
	return event.Printable(t.String())
}

// hide masks the key of each tracker if it is to be.
func (p *Page) hide(trackers []status.Tracker) []status.Tracker {
	if p.guard.Masked() {
		for i := range trackers {
			trackers[i].Key = history.MaskKey(trackers[i].Key)
		}
	}
	return trackers
}

// link is the address of the page of the first target in a text; "": there is none, or it is masked.
func link(text string) string {
	for part := range strings.SplitSeq(text, ",") {
		if t, err := ban.ParseWritten(part); err == nil && !strings.Contains(part, "*") {
			return pageOf(t)
		}
	}
	return ""
}

// A form makes a change.
type form struct {
	Action            Action
	ID, Target        string
	Title, Verb, Hint string
}

func formOf(a Action, target string) form {
	f := form{Action: a, ID: "form-" + string(a), Target: target}
	switch a {
	case Ban:
		f.Title, f.Verb, f.Hint = "Ban", "Ban", "All its packets are dropped. What is trusted is not banned."
	case Unban:
		f.Title, f.Verb, f.Hint = "Unban", "Unban", "Its offences are forgotten."
	case Trust:
		f.Title, f.Verb, f.Hint = "Trust", "Trust", "It is unbanned, and never banned for that time. Lasting trust belongs in a rule file."
	}
	return f
}

// forms are all forms.
func forms(target string) []form {
	return []form{formOf(Ban, target), formOf(Unban, target), formOf(Trust, target)}
}

// count writes a number of things: "1 rule", "1,200 rules".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

// number writes a number in groups of three digits.
func number(n any) string {
	text := fmt.Sprint(n)
	if v, ok := n.(*uint64); ok {
		if v == nil {
			return "not known"
		}
		text = strconv.FormatUint(*v, 10)
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// size writes a number of bytes in its largest unit.
func size(bytes uint64) string {
	v, unit := float64(bytes), 0
	for v >= 1000 && unit < 4 {
		v, unit = v/1000, unit+1
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + " " + []string{"bytes", "kB", "MB", "GB", "TB"}[unit]
}

// clock writes the time of a change: the day alone if it is older than a day. The module page.js writes it in the time
// zone of the browser.
func clock(t, now time.Time) string {
	if now.Sub(t) > 24*time.Hour {
		return t.UTC().Format("2 Jan")
	}
	return t.UTC().Format(time.TimeOnly)
}

// about writes a duration in its largest unit, or two of them: "3d 4h", "42s".
func about(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	}
	return two(d/day, "d", d%day/time.Hour, "h")
}

func two(n time.Duration, unit string, rest time.Duration, smaller string) string {
	text := fmt.Sprintf("%d%s", n, unit)
	if rest > 0 {
		text += fmt.Sprintf(" %d%s", rest, smaller)
	}
	return text
}
