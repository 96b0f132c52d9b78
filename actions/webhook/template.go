package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"text/template"
	"time"

	"freeswitch-security/engine/ban"
)

// functions are what templates may call, beside those of text/template.
var functions = template.FuncMap{
	"subject":  subject,
	"term":     term,
	"latest":   latest,
	"json":     toJSON,
	"plain":    plain,
	"slack":    slack,
	"markdown": markdown,
	"truncate": truncate,
	"date":     date,
	"first":    first,
	"count":    count,
	"beyond":   beyond,
	"upper":    strings.ToUpper,
}

// toJSON writes a value as JSON: a text with its quotes, with <, > and & escaped.
func toJSON(v any) (string, error) {
	out, err := json.Marshal(v)
	return string(out), err
}

// date writes a time in UTC in a layout of Go's ("2006-01-02 15:04"); "" for the zero
// time.
func date(layout string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// first returns the first n notifications: chats refuse long messages.
func first(n int, all []ban.Change) []ban.Change { return all[:max(0, min(n, len(all)))] }

// count writes a number of things: "1 notification", "2 notifications".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// beyond is how many notifications there are beyond the first n.
func beyond(n int, all []ban.Change) int { return max(0, len(all)-max(0, n)) }

// A form makes the body of a request.
type form struct {
	contentType string
	template    *template.Template // nil: the message as JSON
}

const typeJSON = "application/json"

// parse parses a template and tries it on samples, so that a mistake in it is found
// when the block is loaded.
func (f *form) parse(source string, vars map[string]string) (err error) {
	f.template, err = template.New("template").Option("missingkey=error").Funcs(functions).Parse(source)
	if err != nil {
		return where(err)
	}
	for _, sample := range samples() {
		sample.Vars = vars
		if _, err := f.render(&sample); err != nil {
			return where(err)
		}
	}
	return nil
}

// where begins an error of text/template with its place: "line 3: …".
func where(err error) error {
	message, ok := strings.CutPrefix(err.Error(), "template: template:")
	if !ok {
		return err
	}
	return errors.New("line " + message)
}

// maxBody bounds what a template writes, in bytes.
const maxBody = 4 << 20

var errNotJSON = errors.New(`the template does not write JSON if a text has quotes or line breaks in it: write each text as {{json .Reason}}, without quotes around it`)

// render writes a message.
func (f *form) render(m *Message) ([]byte, error) {
	if f.template == nil {
		return json.Marshal(m)
	}
	var out limitedBuffer
	if err := f.template.Execute(&out, m); err != nil {
		return nil, err
	}
	if media, _, _ := mime.ParseMediaType(f.contentType); media == typeJSON && !json.Valid(out.Bytes()) {
		return nil, errNotJSON
	}
	return out.Bytes(), nil
}

// limitedBuffer is a buffer that takes at most maxBody bytes.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, fmt.Errorf("the template writes more than %d bytes", maxBody)
	}
	return b.Buffer.Write(p)
}

// samples are extreme messages: one with everything, in the words of an attacker who
// knows all formats, and one with nearly nothing.
func samples() []Message {
	const hostile = "\"}\n\x1b[31m<!channel> @everyone `x` *y* & \\ \u202e${x} {{.}} </script>"
	at := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	target, _ := ban.ParseTarget("203.0.113.7")
	network, _ := ban.ParseTarget("2001:db8::/64")
	full := ban.Change{Seq: 1, Kind: ban.KindBan, At: at, Ban: ban.Ban{
		Target: target, Rule: "password guessing", Reason: hostile, Key: hostile, Start: at, Until: at.Add(time.Hour),
		Term: ban.Term(time.Hour), Offence: 1, Author: ban.ByRule, Source: "esl.pbx",
		Evidence: []ban.Evidence{{Time: at, Event: "auth_failure", Source: "esl.pbx", IP: target.Prefix().Addr(), User: hostile, Domain: hostile, Text: hostile}},
	}}
	unban := full
	unban.Seq, unban.Kind, unban.Why = 2, ban.KindUnban, hostile
	permanent := ban.Change{Seq: 3, Kind: ban.KindExtend, At: at, Ban: ban.Ban{
		Target: network, Reason: "listed", Start: at, Term: ban.Permanent, Offence: 2, Author: "api alice",
	}}
	account := full
	account.Seq, account.Target, account.Key = 5, ban.Account("1007", "pbx.example"), "1007@pbx.example"
	alert := ban.Change{Seq: 4, Kind: ban.KindAlert, At: at}
	return []Message{
		{ID: "0f", Action: "webhook.sample", Host: "pbx1", SentAt: at, Lost: 3, Notifications: []ban.Change{full, unban, permanent, alert, account}},
		{ID: "10", Action: "webhook.sample", SentAt: at, Notifications: []ban.Change{alert}},
		{ID: "11", Action: "webhook.sample", SentAt: at, Notifications: []ban.Change{full}},
	}
}
