package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
)

// printable makes a text that an attacker may have written safe to show: what is
// not printable, escape sequences above all, is written as Go would quote it.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			quoted := strconv.QuoteToGraphic(s)
			return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return s
}

// A line is a verdict as programs read it: all keys, always.
type line struct {
	Time     string             `json:"time"`
	Verdict  engine.VerdictKind `json:"verdict"`
	Target   string             `json:"target"`
	Rule     string             `json:"rule"`
	Source   string             `json:"source"`
	Offence  int                `json:"offence"`
	For      *string            `json:"for"`
	Until    *string            `json:"until"`
	Reason   string             `json:"reason"`
	Evidence []evidence         `json:"evidence"`
}

type evidence struct {
	Time   string `json:"time"`
	Event  string `json:"event"`
	Source string `json:"source"`
	IP     string `json:"ip"`
	User   string `json:"user"`
	Text   string `json:"text"`
}

// utc writes a moment as programs read it: UTC with microseconds.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// printJSON returns a printer that writes one object a line. What a terminal
// might act upon is escaped in it, as JSON allows.
func printJSON(w io.Writer) func(engine.Verdict) error {
	var object bytes.Buffer
	encoder := json.NewEncoder(&object)
	encoder.SetEscapeHTML(false)
	return func(v engine.Verdict) error {
		l := line{
			Time: utc(v.Time), Verdict: v.Kind, Target: ban.FormatTarget(v.Target), Rule: v.Rule,
			Source: v.Source, Offence: v.Offence, Reason: v.Reason, Evidence: []evidence{},
		}
		if v.Term != 0 {
			term := v.Term.String()
			l.For = &term
		}
		end := v.Until
		if v.Kind == engine.Refused && v.Term != 0 {
			end = v.Term.End(v.Time) // of the ban that was refused
		}
		if !end.IsZero() {
			until := utc(end)
			l.Until = &until
		}
		for _, e := range v.Evidence {
			ip := ""
			if e.IP.IsValid() {
				ip = e.IP.String()
			}
			l.Evidence = append(l.Evidence, evidence{utc(e.Time), e.Event, e.Source, ip, e.User, e.Text})
		}
		object.Reset()
		if err := encoder.Encode(l); err != nil {
			return err
		}
		_, err := w.Write(escapeJSON(object.Bytes()))
		return err
	}
}

// escapeJSON escapes what encoding/json writes as it is but cannot be seen: DEL,
// the control characters behind ASCII, marks that turn the text around. Outside
// of strings JSON has no such characters.
func escapeJSON(text []byte) []byte {
	visible := func(r rune) bool { return r == '\n' || strconv.IsPrint(r) }
	if !bytes.ContainsFunc(text, func(r rune) bool { return !visible(r) }) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if visible(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// printTable returns a printer that writes one row a verdict for people. A wish
// to ban somebody who is banned already is not worth a row.
func printTable(w io.Writer) func(engine.Verdict) error {
	const columns = "%-19s  %-7s  %-24s  %-9s  %-22s  %s\n"
	headed := false
	return func(v engine.Verdict) error {
		if v.Standing {
			return nil
		}
		if !headed {
			headed = true
			if _, err := fmt.Fprintf(w, columns, "TIME (UTC)", "VERDICT", "TARGET", "FOR", "RULE", "WHY"); err != nil {
				return err
			}
		}
		term := ""
		if v.Term != 0 {
			term = v.Term.String()
		}
		_, err := fmt.Fprintf(w, columns, v.Time.UTC().Format(time.DateTime), v.Kind, ban.FormatTarget(v.Target),
			term, printable(v.Rule), printable(v.Reason))
		return err
	}
}
