package email

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/wneessen/go-mail"
)

// maxSubject bounds a subject, in bytes before it is encoded.
const maxSubject = 150

// A message is a mail that is sent until the server takes or refuses it.
type message struct {
	digest
	formed time.Time
	msg    *mail.Msg

	to      []string // only these recipients; nil: all
	final   bool     // others are refused for good
	tries   int      // for them
	retryAt time.Time
}

// compose makes the mail of a digest.
func (c *config) compose(d digest, host string, now time.Time) *message {
	host = line(host)
	m := newMail(c.from, c.to, c.subject(&d, host), c.body(&d, host), host, now)
	return &message{digest: d, formed: now, msg: m}
}

// subject returns one line: what happened, and to which target.
func (c *config) subject(d *digest, host string) string {
	text := fmt.Sprintf("[%s] %d notifications", host, d.total)
	if d.total == 1 {
		one := &d.shown[0]
		text = fmt.Sprintf("[%s] %s: %s", host, one.Kind, line(cmp.Or(one.Rule, one.Author)))
		if target := c.target(one); target != "" {
			text += ", " + target
		}
	} else if rules := rulesOf(d); len(rules) == 1 {
		text += ": " + line(rules[0])
	} else if len(rules) > 1 {
		text += fmt.Sprintf(": %s and %d other rules", line(rules[0]), len(rules)-1)
	}
	return cut(text, maxSubject)
}

func rulesOf(d *digest) (rules []string) {
	for i := range d.shown {
		rules = append(rules, d.shown[i].Rule)
	}
	for _, one := range d.more {
		rules = append(rules, one.rule)
	}
	slices.Sort(rules)
	return slices.DeleteFunc(slices.Compact(rules), func(rule string) bool { return rule == "" })
}

// body returns the plain text.
func (c *config) body(d *digest, host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "freeswitch-security on %s, %s. All times are in UTC.\n", host, c.name)
	for i := range d.shown {
		c.describe(&b, &d.shown[i])
	}
	if len(d.more) > 0 {
		fmt.Fprintf(&b, "\nAnd %d more:\n", d.total-len(d.shown))
		for _, one := range d.more {
			fmt.Fprintf(&b, "  %6d  %s  %s\n", one.n, one.kind, line(cmp.Or(one.rule, "no rule")))
		}
	}
	if d.lost > 0 {
		fmt.Fprintf(&b, "\n%d notifications before these were not delivered.\n", d.lost)
	}
	b.WriteString("\n`freeswitch-security show TARGET` explains a decision.\n")
	return b.String()
}

// describe writes a change.
func (c *config) describe(b *strings.Builder, one *ban.Change) {
	fmt.Fprintf(b, "\n%s  %s  %s\n", stamp(one.At), one.Kind, cmp.Or(c.target(one), "no address"))
	say := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %-8s %s\n", name, text)
		}
	}
	say("rule", line(one.Rule))
	say("by", line(map[bool]string{true: one.Author}[one.Rule == ""]))
	if one.Key != one.Target.String() {
		say("counted", c.hidden(one.Key))
	}
	reason := one.Text()
	if c.maskReason != nil {
		reason = c.maskReason(reason)
	}
	say("reason", line(reason))
	say("from", line(strings.Join(strings.Fields(one.Country+" "+one.ASN+" "+one.ASName), " ")))
	if one.InForce() {
		say("until", stamp(one.Until))
	}
	for _, e := range one.Evidence {
		account := e.User
		if e.Domain != "" {
			account += "@" + e.Domain
		}
		text := fmt.Sprintf("%s %s, %s", stamp(e.Time), line(e.Event), line(e.Source))
		if account != "" {
			text += ", " + c.hidden(account)
		}
		say("event", text)
		if c.mask == nil {
			say("", line(e.Text))
		}
	}
}

// target returns the target of a change, as it may be shown.
func (c *config) target(one *ban.Change) string {
	if one.Target.Kind() == ban.TargetAccount {
		return c.hidden(one.Target.String())
	}
	return line(one.Target.String())
}

// hidden returns a text that may be an account or a number, as it may be shown.
func (c *config) hidden(text string) string {
	if c.mask != nil {
		text = c.mask(text)
	}
	return line(text)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "permanent"
	}
	return t.UTC().Format(time.DateTime)
}

// line returns a text that an attacker may have written as one bounded line, without characters that are not printable.
func line(text string) string {
	return event.Printable(strings.ToValidUTF8(text[:min(len(text), event.MaxField)], "?"))
}

// cut shortens a text to n bytes at a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}

// newMail returns a mail with the headers that each of ours has. Subject and body must be printable.
func newMail(from *address, to []*address, subject, body, host string, now time.Time) *mail.Msg {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(to...)
	m.Subject(subject)
	m.SetDateWithValue(now)
	m.SetMessageIDWithValue(rand.Text() + "@" + idHost(host))
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation notes in return
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	m.SetBodyString(mail.TypeTextPlain, body)
	return m
}

// idHost returns the part of a Message-ID behind the @: letters, digits, dots and hyphens.
func idHost(host string) string {
	host = strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, host)
	return cmp.Or(strings.Trim(host, ".-"), "localhost")
}
