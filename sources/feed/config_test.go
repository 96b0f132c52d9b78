package feed

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

func TestDefaults(t *testing.T) {
	got := feedOf(t, `url = "https://lists.example.org/sip.txt"`).config
	want := config{
		name: "feed.apiban", url: "https://lists.example.org/sip.txt", set: "sip", interval: time.Hour, ttl: 24 * time.Hour,
		maxTTL: 7 * 24 * time.Hour, guard: 0.5, maxBytes: 16 << 20, bounds: bounds{100_000, 16, 32},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}, bounds{})); diff != "" {
		t.Error(diff)
	}
	if got := feedOf(t, `
		format = "apiban"
		key    = secret
	`); got.url != apibanURL || got.key != "s3cr3t-t0ken" {
		t.Errorf("%+v", got.config)
	}
	if got := feedOf(t, `
		path = "/x"
		ttl  = "30d"
	`); got.maxTTL != 30*24*time.Hour {
		t.Errorf("max_ttl %s", got.maxTTL)
	}
}

func TestEverything(t *testing.T) {
	got := feedOf(t, `
		url         = "https://peer.example.org/export?format=json"
		format      = "json"
		headers     = { Authorization = "Bearer ${secret}", X-Node = "b" }
		interval    = "5m"
		ttl         = "1h"
		max_ttl     = "2h"
		reason      = "banned by\nour other node"
		guard       = 1
		max_entries = 10
		max_bytes   = 4096
		min_prefix  = "24, 48"
	`).config
	want := config{
		name: "feed.apiban", url: "https://peer.example.org/export?format=json", format: "json", set: "sip",
		headers:  map[string]string{"Authorization": "Bearer s3cr3t-t0ken", "X-Node": "b"},
		interval: 5 * time.Minute, ttl: time.Hour, maxTTL: 2 * time.Hour, reason: "banned by our other node", guard: 1, maxBytes: 4096,
		bounds: bounds{10, 24, 48},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}, bounds{})); diff != "" {
		t.Error(diff)
	}
}

func TestMistakes(t *testing.T) {
	const good = "url = \"https://x.example/\"\n"
	for _, test := range []struct{ body, summary string }{
		{``, "No list"},
		{"path = \"\"", "Empty path"},
		{good + `path = "/x"`, "Two places"},
		{`url = "ftp://x.example/"`, "Not a URL"},
		{`url = "https://"`, "Not a URL"},
		{`url = "://s3cr3t-t0ken"`, "Not a URL"},
		{good + `format = "jsn"`, "Unknown format"},
		{`format = "apiban"`, "No key"},
		{"format = \"apiban-v1\"\nkey = \"a/${secret}\"", "Not a key"},
		{"format = \"apiban\"\nkey = \"\"", "Not a key"},
		{"format = \"apiban\"\nkey = \"k\"\npath = \"/x\"", "APIBAN in a file"},
		{"format = \"apiban\"\nkey = \"k\"\nset = \"smtp\"", "Unknown set"},
		{"format = \"apiban-v1\"\nkey = \"k\"\nset = \"http\"", "Unused set"},
		{good + `key = secret`, "Unused key"},
		{good + `headers = { Host = "x" }`, "Reserved header"},
		{good + `headers = { "A b" = "x" }`, "Invalid header"},
		{good + `headers = { A = "${secret}\r\nB: c" }`, "Invalid header"},
		{"path = \"/x\"\nheaders = { A = \"b\" }", "Headers of a file"},
		{"format = \"apibn\"\nkey = \"k\"\nset = \"http\"", "Unknown format"},
		{good + `interval = "59s"`, "Invalid duration"},
		{good + `interval = secret`, "Invalid duration"},
		{good + `ttl = "permanent"`, "Invalid duration"},
		{good + "ttl = \"2h\"\nmax_ttl = \"1h\"", "max_ttl below ttl"},
		{good + `guard = 0`, "Invalid number"},
		{good + `guard = "half"`, "Invalid number"},
		{good + `max_entries = 0`, "Invalid number"},
		{good + `max_bytes = 1e30`, "Invalid number"},
		{good + `min_prefix = "0,32"`, "Invalid prefix lengths"},
		{good + `min_prefix = "16,129"`, "Invalid prefix lengths"},
		{good + `username = "x"`, "Unsupported argument"},
	} {
		made, diags := newFrom(t, test.body)
		if len(diags) != 1 || diags[0].Summary != test.summary || diags[0].Severity != hcl.DiagError || made != nil {
			t.Errorf("%s\n%v; want %q", test.body, diags, test.summary)
		}
		if strings.Contains(diags.Error(), "s3cr3t") {
			t.Errorf("a secret is shown: %v", diags)
		}
	}
}

// TestOneMistake reports a value that cannot be evaluated once, without what follows
// from it.
func TestOneMistake(t *testing.T) {
	for _, body := range []string{
		"format = \"apiban\"\nkey = nowhere",
		"format = nowhere\nkey = \"k\"\nset = \"http\"",
	} {
		_, diags := newFrom(t, body)
		if len(diags) != 1 || diags[0].Summary != "Unknown variable" {
			t.Errorf("%s\n%v", body, diags.Errs())
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct{ body, summary string }{
		{"format = \"apiban\"\nkey = \"k\"\nurl = \"http://apiban.org/api/\"", "Unencrypted secrets"},
		{`url = "http://a:b@x.example/"`, "Unencrypted secrets"},
		{"url = \"http://[::1]/\"\nheaders = { A = \"b\" }", ""},
		{`url = "http://x.example/"`, ""},
		{"path = \"/x\"\nttl = \"90m\"", "Gaps between the bans"},
	} {
		made, diags := newFrom(t, test.body)
		summary := ""
		if len(diags) > 0 {
			summary = diags[0].Summary
		}
		if diags.HasErrors() || summary != test.summary || made == nil {
			t.Errorf("%s\n%v; want %q", test.body, diags, test.summary)
		}
	}
}

func TestFingerprint(t *testing.T) {
	settingstest.Differ(t, fromBlock,
		"url = \"https://x.example/\"\nheaders = { A = \"b\" }", "url = \"https://x.example/\"\nheaders = { A = \"c\" }")
}

func TestLongTermsAreCapped(t *testing.T) {
	s := feedOf(t, "path = \"/x\"\nttl = \"1h\"\nmax_ttl = \"2h\"").config
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		entry entry
		want  time.Duration
	}{
		{entry{}, time.Hour},
		{entry{term: time.Duration(ban.Permanent)}, 2 * time.Hour},
		{entry{term: 10 * time.Minute}, 10 * time.Minute},
		{entry{term: 4 * time.Hour}, 2 * time.Hour},
		{entry{term: -5 * time.Second}, -5 * time.Second},
		{entry{expires: now.Add(30 * time.Minute)}, 30 * time.Minute},
		{entry{expires: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, 2 * time.Hour},
	} {
		if got := test.entry.end(now, &s).Sub(now); got != test.want {
			t.Errorf("%+v ends after %s, want %s", test.entry, got, test.want)
		}
	}
}
