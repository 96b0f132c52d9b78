package webhook

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
)

// A Message is what one request tells: its default form is this, as JSON, and a
// template sees the same. On a retry it is the same to the byte.
type Message struct {
	ID      string    `json:"id"`             // also the Idempotency-Key
	Action  string    `json:"action"`         // who tells: "webhook.noc"
	Host    string    `json:"host,omitempty"` // the name of this host
	SentAt  time.Time `json:"sentAt"`         // when the message was put together
	Lost    int       `json:"lost,omitempty"` // notices before these that had to be dropped, and which no message told
	Notices []Notice  `json:"notices"`        // at least one

	Vars map[string]string `json:"-"` // the attribute vars, for templates
}

// A Notice tells of one change. Its strings are valid UTF-8 and bounded; callers
// wrote some of them.
type Notice struct {
	// Seq counts the notices of this action, across restarts: it puts them in
	// order where messages arrive out of it, and a gap is what was lost.
	Seq       uint64     `json:"seq"`
	Kind      string     `json:"kind"` // ban, extend, expire, unban, alert, spare
	At        time.Time  `json:"at"`   // when it took effect
	IP        string     `json:"ip"`   // an address or a network; "" where an alert is about none
	Rule      string     `json:"rule,omitempty"`
	Reason    string     `json:"reason"`
	Why       string     `json:"why,omitempty"` // it was unbanned or spared
	Key       string     `json:"key,omitempty"` // whom the rule caught: "1000@pbx"
	AddedAt   time.Time  `json:"addedAt"`       // when the ban began; of an alert, as At
	ExpiresAt *time.Time `json:"expiresAt"`     // nil: permanent, or an alert
	Permanent bool       `json:"permanent"`
	Offence   int        `json:"offence,omitempty"`  // 1 the first time
	Author    string     `json:"author,omitempty"`   // who ordered the ban
	Source    string     `json:"source,omitempty"`   // of the firing event
	Evidence  []Evidence `json:"evidence,omitempty"` // the newest, oldest first
}

// Evidence is one event that spoke for a ban.
type Evidence struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	Source string    `json:"source,omitempty"`
	IP     string    `json:"ip,omitempty"`
	User   string    `json:"user,omitempty"`
	Domain string    `json:"domain,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// Term is how long the ban lasts in all, as rules write it: "10m", "permanent";
// "" of an alert.
func (n Notice) Term() string {
	switch {
	case n.Permanent:
		return ban.Permanent.String()
	case n.ExpiresAt == nil:
		return ""
	}
	return ban.FormatDuration(n.ExpiresAt.Sub(n.AddedAt).Round(time.Second))
}

// Whom is who it is about, for people: the address, and the account or whatever
// else the rule caught.
func (n Notice) Whom() string {
	switch n.Key {
	case "", n.IP:
		return n.IP
	}
	if n.IP == "" {
		return n.Key
	}
	return n.IP + " (" + n.Key + ")"
}

// Latest is the event that the ban or alert came of; the zero Evidence where none
// is told.
func (n Notice) Latest() Evidence {
	if len(n.Evidence) == 0 {
		return Evidence{}
	}
	return n.Evidence[len(n.Evidence)-1]
}

// Bounds of a notice: a caller sends megabytes if that makes somebody store them.
const (
	maxText     = 1024 // bytes of each string
	maxEvidence = 20   // events
)

// toNotice makes a notice of a change.
func toNotice(seq uint64, c *ban.Change) Notice {
	b := &c.Ban
	n := Notice{
		Seq: seq, Kind: string(c.Kind), At: stamp(c.At), IP: b.Target.String(),
		Rule: text(b.Rule), Reason: text(b.Reason), Why: text(c.Why), Key: text(b.Key),
		AddedAt: stamp(b.Start), Offence: b.Offence, Author: text(b.Author), Source: text(b.Source),
	}
	if b.Start.IsZero() {
		n.AddedAt = n.At
	}
	switch {
	case c.Kind == ban.KindAlert: // there is no ban that could end
	case b.Until.IsZero():
		n.Permanent = true
	default:
		until := stamp(b.Until)
		n.ExpiresAt = &until
	}
	for _, e := range b.Evidence[max(0, len(b.Evidence)-maxEvidence):] {
		n.Evidence = append(n.Evidence, Evidence{
			Time: stamp(e.Time), Event: text(e.Event), Source: text(e.Source), IP: address(e.IP),
			User: text(e.User), Domain: text(e.Domain), Text: text(e.Text),
		})
	}
	return n
}

// stamp is a time as JSON can write it, which fails beyond the year 9999.
func stamp(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// text bounds a string and makes it valid UTF-8.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		// A character that was cut in two is no mistake of the caller's.
		for i := 1; i < utf8.UTFMax; i++ {
			if at := len(s) - i; utf8.RuneStart(s[at]) {
				if !utf8.FullRuneInString(s[at:]) {
					s = s[:at]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
