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
)

// functions are what templates may call beside what text/template brings.
var functions = template.FuncMap{
	"json":     toJSON,
	"plain":    plain,
	"slack":    slack,
	"markdown": markdown,
	"truncate": truncate,
	"date":     date,
	"first":    first,
	"beyond":   beyond,
	"upper":    strings.ToUpper,
}

// toJSON writes a value as JSON: a string with its quotes, <, > and & escaped.
func toJSON(v any) (string, error) {
	out, err := json.Marshal(v)
	return string(out), err
}

// date writes a time in UTC in a layout of Go's ("2006-01-02 15:04"); "" where
// there is none.
func date(layout string, at any) (string, error) {
	var t time.Time
	switch at := at.(type) {
	case time.Time:
		t = at
	case *time.Time:
		if at != nil {
			t = *at
		}
	default:
		return "", fmt.Errorf("date: %T is not a time", at)
	}
	if t.IsZero() {
		return "", nil
	}
	return t.UTC().Format(layout), nil
}

// first is the first n notices: chats refuse long messages.
func first(n int, notices []Notice) []Notice { return notices[:max(0, min(n, len(notices)))] }

// beyond is how many notices there are beyond the first n.
func beyond(n int, notices []Notice) int { return max(0, len(notices)-max(0, n)) }

// A form makes the body of a request.
type form struct {
	contentType string
	template    *template.Template // nil: the message as JSON
}

const typeJSON = "application/json"

// newForm parses a template and tries it on samples, so that what fails on every
// message is a mistake in the rule file rather than one at night.
func newForm(source, contentType string, vars map[string]string) (form, error) {
	f := form{contentType: contentType}
	if source == "" {
		return f, nil
	}
	var err error
	f.template, err = template.New("template").Option("missingkey=error").Funcs(functions).Parse(source)
	if err != nil {
		return form{}, where(err)
	}
	for _, sample := range samples() {
		sample.Vars = vars
		if _, err := f.render(&sample); err != nil {
			return form{}, where(err)
		}
	}
	return f, nil
}

// where says of what text/template has to say where it was: "line 3: …".
func where(err error) error {
	message, ok := strings.CutPrefix(err.Error(), "template: template:")
	if !ok {
		return err
	}
	return errors.New("line " + message)
}

// maxBody bounds what a template writes, in bytes.
const maxBody = 4 << 20

var errNotJSON = errors.New(`it does not write JSON once a text has quotes or line breaks in it: write each text as {{json .Reason}}, without quotes around it`)

// render writes a message in the form that was asked for.
func (f *form) render(m *Message) ([]byte, error) {
	if f.template == nil {
		return json.Marshal(m)
	}
	var out bounded
	if err := f.template.Execute(&out, m); err != nil {
		return nil, err
	}
	if media, _, _ := mime.ParseMediaType(f.contentType); media == typeJSON && !json.Valid(out.Bytes()) {
		return nil, errNotJSON
	}
	return out.Bytes(), nil
}

// bounded is a buffer that does not take more than maxBody.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, fmt.Errorf("the template writes more than %d bytes", maxBody)
	}
	return b.Buffer.Write(p)
}

// samples are messages at the edges of what there is: everything told, in the
// words of an attacker who knows all formats, and next to nothing told.
func samples() []Message {
	const hostile = "\"}\n\x1b[31m<!channel> @everyone `x` *y* & \\ \u202e${x} {{.}} </script>"
	at := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	until := at.Add(time.Hour)
	full := Notice{
		Seq: 1, Kind: "ban", At: at, IP: "203.0.113.7", Rule: "password guessing", Reason: hostile, Key: hostile,
		AddedAt: at, ExpiresAt: &until, Offence: 1, Author: "rule", Source: "esl.pbx",
		Evidence: []Evidence{{Time: at, Event: "auth_failure", Source: "esl.pbx", IP: "203.0.113.7", User: hostile, Domain: hostile, Text: hostile}},
	}
	lifted := full
	lifted.Seq, lifted.Kind, lifted.Why = 2, "unban", hostile
	permanent := Notice{Seq: 3, Kind: "extend", At: at, IP: "2001:db8::/64", Reason: "listed", AddedAt: at, Permanent: true, Offence: 2, Author: "api alice"}
	alert := Notice{Seq: 4, Kind: "alert", At: at, AddedAt: at}
	return []Message{
		{ID: "0f", Action: "webhook.sample", Host: "pbx1", SentAt: at, Lost: 3, Notices: []Notice{full, lifted, permanent, alert}},
		{ID: "10", Action: "webhook.sample", SentAt: at, Notices: []Notice{alert}},
		{ID: "11", Action: "webhook.sample", SentAt: at, Notices: []Notice{full}},
	}
}
