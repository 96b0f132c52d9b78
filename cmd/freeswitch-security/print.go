package main

import (
	"fmt"
	"io"
	"time"

	"freeswitch-security/engine"
)

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
	return func(v engine.Verdict) error {
		l := line{
			Time: utc(v.Time), Verdict: v.Kind, Target: v.Target.String(), Rule: v.Rule,
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
		return printObject(w, l)
	}
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
		_, err := fmt.Fprintf(w, columns, v.Time.UTC().Format(time.DateTime), v.Kind, v.Target.String(),
			term, printable(v.Rule), printable(v.Reason))
		return err
	}
}
