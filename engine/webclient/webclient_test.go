package webclient

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/settings/settingstest"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "x": 0, "99999999999999999999": 0, "9999999999": time.Hour,
		start.Add(time.Minute).Format(http.TimeFormat): time.Minute, start.Add(-time.Minute).Format(http.TimeFormat): 0,
		start.Add(99 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, start, time.Hour); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Mon, 23 Nov 2026 04:05:06 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		if d := RetryAfter(http.Header{"Retry-After": {value}}, start, time.Hour); d < 0 || d > time.Hour {
			t.Errorf("%q: %v", value, d)
		}
	})
}

func TestSecrets(t *testing.T) {
	const raw = "https://joe:s3cr3t-password@x.example/s3cr3t-path/%73pace?q=s3cr3t-query&b=1"
	s := NewSecrets(raw, map[string]string{"Authorization": "Bearer s3cr3t-token"}, "s3cr3t-key", "", "b")
	for text, want := range map[string]string{
		"s3cr3t-password s3cr3t-path s3cr3t-query s3cr3t-token s3cr3t-key": "*** *** *** *** ***",
		"Bearer s3cr3t-token":    "***",
		"space":                  "***",
		"nothing secret about b": "nothing secret about b",
	} {
		if got := s.Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Place(raw); got != "https://x.example" {
		t.Error(got)
	}
	if got := Place("://s3cr3t"); got != "the server" {
		t.Error(got)
	}
}

func TestHeaders(t *testing.T) {
	const hidden = "s3cr3t\nvalue"
	for _, test := range []struct {
		body string
		want map[string]string
		says string
	}{
		{``, nil, ""},
		{`headers = {}`, nil, ""},
		{`headers = { x-token = "t", Authorization = "Bearer b" }`, map[string]string{"X-Token": "t", "Authorization": "Bearer b"}, ""},
		{`headers = { "a b" = "c" }`, nil, "letters, digits and -"},
		{`headers = { X-A = hidden }`, nil, "line break"},
		{`headers = { X-A = "" }`, nil, "set the environment variable"},
		{`headers = { host = "a" }`, nil, "set by the program itself"},
		{`headers = { content-type = "a" }`, nil, "set by the program itself"},
	} {
		b := settingstest.Block(t, "rules.hcl", test.body, map[string]string{"hidden": hidden})
		got := Headers(b, "Host")
		b.Done()
		message := b.Diagnostics().Error()
		if !cmp.Equal(got, test.want) || b.Failed() != (test.says != "") || !strings.Contains(message, test.says) {
			t.Errorf("%s: %v, %s", test.body, got, message)
		}
		if strings.Contains(message, "s3cr3t") {
			t.Errorf("%s: a secret is shown: %s", test.body, message)
		}
	}
}
