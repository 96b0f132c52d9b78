package email

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/actions/email/emailtest"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings/settingstest"
)

const least = "server = \"smtp.example.org\"\nfrom = \"guard@example.org\"\nto = [\"noc@example.org\"]\n"

func parse(t *testing.T, body string) (*Action, string) {
	t.Helper()
	b := settingstest.Block(t, "rules.hcl", body, map[string]string{"secret": emailtest.Password})
	a := Kind(strings.ToUpper, strings.ToUpper).New(b, plugin.ActionEnv{Name: "email.noc", Masked: true})
	if b.Done(); b.Failed() {
		return nil, b.Diagnostics().Error()
	}
	return a.(*Action), ""
}

func TestDefaults(t *testing.T) {
	a, mistake := parse(t, least)
	if mistake != "" {
		t.Fatal(mistake)
	}
	c := a.config
	if c.host != "smtp.example.org" || c.port != 587 || c.tls != tlsStart || c.digest != 5*time.Minute || len(c.on) != 1 || c.on[0] != "alert" || c.mask == nil {
		t.Errorf("%+v", c)
	}
	for body, port := range map[string]int{`tls = "tls"`: 465, `tls = "none"`: 25} {
		if a, mistake := parse(t, least+body); mistake != "" || a.config.port != port {
			t.Errorf("%s: %s", body, mistake)
		}
	}
}

func TestMistakes(t *testing.T) {
	for body, want := range map[string]string{
		"":                         "server",
		`server = "smtp://x"`:      "Not a mail server",
		`server = "x:0"`:           "Not a mail server",
		least + `user = "guard"`:   "Incomplete login",
		least + `password = "abc"`: "Password in a rule file",
		least + "user = \"guard\"\npassword = secret\ntls = \"none\"": "Password in clear",
		least + `on = []`:                            "Empty list",
		least + `ca = "x"`:                           "Invalid certificate",
		least + `digest = "25h"`:                     "Invalid duration",
		"server = \"x\"\nfrom = \"nobody\"\nto = []": "Invalid address",
		"server = \"x\"\nfrom = \"a@b.example\\r\\nBcc: c@d.example\"\nto = [\"a@b.example\"]": "Invalid address",
	} {
		if _, mistake := parse(t, body); !strings.Contains(mistake, want) || strings.Contains(mistake, emailtest.Password) {
			t.Errorf("%s: %q, want %q", body, mistake, want)
		}
	}
}
