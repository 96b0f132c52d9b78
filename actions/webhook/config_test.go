package webhook

import (
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

// hushed is a value that no diagnostic may show.
const hushed = "hunter2\nhunter2"

func fromBlock(b *settings.Block) plugin.Action {
	return Kind.New(b, plugin.ActionEnv{Name: "webhook.noc"})
}

func decodeBlock(t testing.TB, body string) (plugin.Action, hcl.Diagnostics) {
	t.Helper()
	return settingstest.Made(t, fromBlock, body, map[string]string{"hushed": hushed})
}

func parse(t testing.TB, body string) *Action {
	t.Helper()
	a, diags := decodeBlock(t, body)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return a.(*Action)
}

func TestDefaults(t *testing.T) {
	c := parse(t, `url = "https://noc.example.net/hook"`).config
	if c.method != "POST" || c.groupWait != time.Second || c.groupMax != 100 || c.timeout != 10*time.Second || c.giveUp != 24*time.Hour ||
		c.queue != 10000 || !c.allowPrivate || c.form.contentType != typeJSON || !slices.Equal(c.on, []string{"ban", "alert", "spare"}) {
		t.Errorf("%+v", c)
	}
}

func TestEverythingSet(t *testing.T) {
	ca, cert, key := pemPair(t)
	a := parse(t, `
		url           = "http://[2001:db8::1]:8080/x?y=z"
		method        = "PUT"
		headers       = { "x-token" = "t", Authorization = "Bearer b" }
		template      = "{\"text\": {{json (index .Notifications 0).Reason}}, \"key\": {{json .Vars.k}}}"
		content_type  = "application/json; charset=utf-8"
		vars          = { k = "v" }
		secret        = "s"
		on            = ["unban", "ban", "ban"]
		group_wait    = "0s"
		group_max     = 1
		timeout       = "2s"
		give_up       = "7d"
		queue         = 5
		ca            = <<EOT
`+ca+`EOT
		cert          = <<EOT
`+cert+`EOT
		key           = <<EOT
`+key+`EOT
		allow_private = false`)
	c := a.config
	if c.method != "PUT" || c.headers["X-Token"] != "t" || c.groupWait != 0 || c.groupMax != 1 || c.giveUp != 7*24*time.Hour ||
		c.queue != 5 || c.allowPrivate || !slices.Equal(c.on, []string{"unban", "ban"}) {
		t.Errorf("%+v", c)
	}
	if a.endpoint.shown != "http://[2001:db8::1]:8080" {
		t.Error(a.endpoint.shown)
	}
}

func TestFingerprint(t *testing.T) {
	settingstest.Differ(t, fromBlock, `url = "https://x/y"`, `url = "https://x/z"`, "url = \"https://x/y\"\nsecret = \"a\"")
}

func TestConfigDiagnostics(t *testing.T) {
	const url = "url = \"https://x/y\"\n"
	for body, want := range map[string]string{
		``:                                   `url = env(`,
		`url = ""`:                           `set the environment variable`,
		`url = hushed`:                       `is no URL`,
		`url = "noc.example.net"`:            `must begin with https://`,
		`url = "ftp://x/y"`:                  `must begin with https://`,
		`url = "https:///y"`:                 `no host`,
		url + `method = "GET"`:               `"POST", "PUT", "PATCH"`,
		url + `headers = { "a b" = "c" }`:    `letters, digits and -`,
		url + `headers = { "X-A" = hushed }`: `value of X-A has a line break`,
		url + `headers = { "X-A" = "" }`:     `value of X-A is empty`,
		url + `headers = { "content-type" = "a/b" }`:  `set by the program itself`,
		url + `headers = { "x-signature-256" = "a" }`: `set by the program itself`,
		url + `headers = { "idempotency-key" = "a" }`: `set by the program itself`,
		url + `headers = { "X-A" = null }`:            `This is null`,
		url + `headers = "x"`:                         `Names with values`,
		url + `secret = ""`:                           `Anyone can sign`,
		url + `on = ["bann"]`:                         `Did you mean "ban"?`,
		url + `on = [hushed]`:                         `should be one of`,
		url + `on = []`:                               `at least one kind`,
		url + `group_wait = "soon"`:                   `is not a duration`,
		url + `group_wait = hushed`:                   `should be a duration`,
		url + `group_wait = "2h"`:                     `from 0s to 1h`,
		url + `group_max = 0`:                         `from 1 to 1000`,
		url + `group_max = 1.5`:                       `whole number`,
		url + `timeout = "1h"`:                        `from 100ms to 5m`,
		url + `give_up = "1s"`:                        `from 1m to 30d`,
		url + `queue = -1`:                            `from 1 to 1000000`,
		url + `ca = hushed`:                           `no certificate in PEM form`,
		url + `cert = "x"`:                            `belong together`,
		url + "cert = hushed\nkey = hushed":           `certificate in PEM form and its private key`,
		url + `content_type = "json; ="`:              `Write one such as`,
		url + `template = ""`:                         `Leave the attribute out`,
		url + "template = \"a\\nb {{jsn .ID}}\"":      `Line 2: function "jsn" not defined`,
		url + "template = \"\\n{{.Reasn}}\"":          `Line 2:2:`,
		url + `template = "{{.Vars.key}}"`:            `map has no entry for key "key"`,
		url + `template = "{\"text\": \"{{range .Notifications}}{{.Reason}}{{end}}\"}"`: `{{json .Reason}}`,
		url + `template = "{{date \"2006\" .Host}}"`:                                    `expected time.Time; got string`,
		url + `vars = hushed`: `Names with values`,
		url + `ulr = "x"`:     `"ulr"`,
	} {
		a, diags := decodeBlock(t, body)
		if !diags.HasErrors() || a != nil {
			t.Errorf("%s: accepted", body)
			continue
		}
		d := diags.Errs()[0].(*hcl.Diagnostic)
		if !strings.Contains(d.Detail, want) || d.Subject == nil || d.Subject.Filename != "site.hcl" {
			t.Errorf("%s: %s (%v); want %q", body, d.Detail, d.Subject, want)
		}
		if strings.Contains(diags.Error(), "hunter2") {
			t.Errorf("%s: a hidden value is shown: %s", body, diags.Error())
		}
	}
}

func TestJSONConfiguration(t *testing.T) {
	b := settingstest.Block(t, "rules.json", `{
		"url": "https://x/y", "headers": {"X-Token": "${hushed_token}"}, "on": ["unban"], "group_max": 7, "group_wait": "0s"
	}`, map[string]string{"hushed_token": "t"})
	made := fromBlock(b)
	if b.Done(); b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	if c := made.(*Action).config; c.headers["X-Token"] != "t" || c.groupMax != 7 || !slices.Equal(c.on, []string{"unban"}) {
		t.Errorf("%+v", c)
	}
}
