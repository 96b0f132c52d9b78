package webhook

import (
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

// A Message is what one request sends. The default form is its JSON; templates get it
// as it is. On a retry it is the same to the byte.
type Message struct {
	ID            string       `json:"id"`             // also the Idempotency-Key
	Action        string       `json:"action"`         // "webhook.noc"
	Host          string       `json:"host,omitempty"` // the name of this host
	SentAt        time.Time    `json:"sentAt"`         // when the message was formed
	Lost          int          `json:"lost,omitempty"` // notifications dropped before these, which no message reported
	Notifications []ban.Change `json:"notifications"`  // at least one

	Vars map[string]string `json:"-"` // the attribute vars, for templates
}

// term is how long the ban lasts in all, as rules write it: "10m", "permanent"; "" for
// an alert.
func term(c ban.Change) string {
	switch {
	case c.Kind == ban.KindAlert:
		return ""
	case c.Until.IsZero():
		return ban.Permanent.String()
	}
	return ban.FormatDuration(c.Until.Sub(c.Start).Round(time.Second))
}

// subject is the target of a change, and what the rule counted by if that differs.
func subject(c ban.Change) string {
	target := c.Target.String()
	switch {
	case c.Key == "" || c.Key == target:
		return target
	case target == "":
		return c.Key
	}
	return target + " (" + c.Key + ")"
}

// latest is the latest event in the evidence; zero without evidence.
func latest(c ban.Change) ban.Evidence {
	if len(c.Evidence) == 0 {
		return ban.Evidence{}
	}
	return c.Evidence[len(c.Evidence)-1]
}

// Bounds of a notification: an attacker could send megabytes to be stored.
const (
	maxText     = 1024 // bytes of each text
	maxEvidence = 20   // events
)

// notification returns a change as it is sent. Its texts are valid UTF-8 and bounded,
// and its number counts the notifications of this action, across restarts: it orders
// them, and a gap in it is a loss.
func notification(seq uint64, c ban.Change) ban.Change {
	c.Seq = seq
	for _, s := range []*string{&c.Rule, &c.Source, &c.Author, &c.Key, &c.Reason, &c.Why} {
		*s = text(*s)
	}
	for _, t := range []*time.Time{&c.At, &c.Start, &c.Until} {
		*t = stamp(*t)
	}
	latest := c.Evidence[max(0, len(c.Evidence)-maxEvidence):]
	c.Evidence = nil
	for _, e := range latest {
		for _, s := range []*string{&e.Event, &e.Source, &e.User, &e.Domain, &e.Text} {
			*s = text(*s)
		}
		e.Time = stamp(e.Time)
		c.Evidence = append(c.Evidence, e)
	}
	return c
}

// stamp is a time that JSON can hold, which ends with the year 9999.
func stamp(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// text bounds a text and makes it valid UTF-8.
func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD") }
