package esl

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

func TestMistakes(t *testing.T) {
	const source = "source = source.esl.pbx\n"
	for _, test := range []struct{ body, want string }{
		{`hangup = "ip"`, `Name the source of the switch`},
		{source, `Set hangup, flush_registration or command`},
		{`source = source.esl.pxb` + "\n" + `hangup = "ip"`, `There is no source.esl.pxb. Did you mean "esl.pbx"?`},
		{`source = source.nothing.alike` + "\n" + `hangup = "ip"`, `There is no source.nothing.alike. It must be a source "esl"`},
		{`source = source.log.freeswitch` + "\n" + `hangup = "ip"`, `source.log.freeswitch is not of kind "esl"`},
		{`source = "source.esl.pbx"` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{`source = esl.pbx` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{`source = source.esl[0]` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{source + `hangup = "all"`, `"all" is none of "ip", "user"`},
		{source + `hangup = ""`, `"" is none of "ip", "user"`},
		{source + `flush_registration = ["ip"]`, "A text in quotes"},
		{source + `hangup = "ip"` + "\n" + `profile = "internal"`, "add flush_registration"},
		{source + `flush_registration = "ip"` + "\n" + `profile = "a b"`, "only letters, digits"},
		{source + `command = ""`, "It is empty"},
		{source + `command = "hash insert/<usr>"`, `There is no hole <usr>. Did you mean "user"?`},
		{source + `command = "<rule> x"`, "must be fixed"},
		{source + `command = "hash a\nfsctl shutdown"`, "one line"},
		{source + `command = "api hash x"`, `Leave out the "api"`},
		{source + `command = "ha;sh x"`, "not the name of a command"},
		{source + `comand = "x"`, "Unsupported argument"},
		{source + fmt.Sprintf("command = %q", "x "+strings.Repeat("y", maxTemplate)), "at most"},
	} {
		a, diags := decodeBlock(t, "rules.hcl", test.body, esl.Switch{})
		if a != nil || !strings.Contains(diags.Error(), test.want) || len(diags) != 1 {
			t.Errorf("%s:\n%v", test.body, diags)
		}
		for _, d := range diags {
			if d.Subject == nil {
				t.Errorf("%s: without a subject", test.body)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	s := esl.Switch{Address: "192.0.2.1:8021", Password: "x"}
	a, diags := decodeBlock(t, "rules.json", `{"source": "source.esl.pbx", "hangup": "user", "flush_registration": "ip", "profile": "internal", "command": "hash insert/<user>"}`, s)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if c := a.(*Action).config; c.at != s || c.hangup != byUser || c.flush != byIP || c.profile != "internal" || c.command.command != "hash" {
		t.Errorf("%+v", c)
	}
	if _, diags := decodeBlock(t, "rules.json", `{"source": 3, "hangup": "user"}`, s); !strings.Contains(diags.Error(), "a text of three names") {
		t.Error(diags)
	}
}

// TestAccountsBlock: an action on a disabled source is left out, with a notice; any other mistake is an
// error.
func TestAccountsBlock(t *testing.T) {
	sources := map[string]plugin.Source{"esl.pbx": fakeSource{at: esl.Switch{Address: "[::1]:8021"}}, "esl.off": nil, "log.freeswitch": otherSource{}}
	for _, test := range []struct {
		body     string
		severity hcl.DiagnosticSeverity // 0: no mistake
		want     string
	}{
		{"source = source.esl.pbx", 0, ""},
		{"source = source.esl.off", settings.Notice, "source.esl.off is disabled, so action.accounts.pbx is left out."},
		{"source = source.esl.no", hcl.DiagError, "There is no source.esl.no"},
		{"source = source.log.freeswitch", hcl.DiagError, `source.log.freeswitch is not of kind "esl"`},
		{"", hcl.DiagError, "Name the source"},
		{"source = source.esl.pbx\nhangup = \"user\"", hcl.DiagError, "hangup"},
	} {
		b := settingstest.Block(t, "rules.hcl", test.body, nil)
		var claims []string
		a := AccountsKind.New(b, plugin.ActionEnv{Name: "accounts.pbx", Sources: sources, Claim: func(what string) { claims = append(claims, what) }, Emergency: isHelp})
		b.Done()
		diags := b.Diagnostics()
		if test.severity != 0 {
			if len(diags) != 1 || diags[0].Severity != test.severity || !strings.Contains(diags[0].Summary+diags[0].Detail, test.want) || a != nil && test.severity == settings.Notice {
				t.Errorf("%q: %v, %v", test.body, diags, a)
			}
			continue
		}
		if held := a.(*Accounts); len(diags) > 0 || held.at.Address != "[::1]:8021" || !held.emergency.has("112@pbx.example") || len(claims) != 1 {
			t.Errorf("%q: %v, %+v, claims %q", test.body, diags, a, claims)
		}
	}
}

// A fixed console has one answer.
type fixed string

func (f fixed) API(context.Context, string, ...string) (string, error) { return string(f), nil }

func FuzzTemplate(f *testing.F) {
	for _, value := range attacks {
		f.Add("hash insert/<user>/<domain>/<ip>", value)
	}
	f.Add("a <rule><user", "1000")
	f.Fuzz(func(t *testing.T, text, value string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		values := map[string]string{"user": value, "domain": value, "rule": ruleWord(value), "ip": "2001:db8::1", "network": "192.0.2.0/24"}
		args, err := parsed.fill(values)
		if err != nil {
			return
		}
		var pairs []string
		for name, value := range values {
			pairs = append(pairs, "<"+name+">", value)
			if name != "ip" && name != "network" && parsed.has(name) && checkPart(value) != nil {
				t.Errorf("%q was put into %q", value, text)
			}
		}
		if want := strings.NewReplacer(pairs...).Replace(parsed.args); args != want {
			t.Errorf("%q became %q", text, args)
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add(listing([]esl.Registration{phone("1000", "aa1", "203.0.113.7")}))
	f.Add(`{"row_count":0}`)
	f.Fuzz(func(t *testing.T, answer string) {
		all, err := esl.Registrations(t.Context(), fixed(answer))
		if err != nil {
			return
		}
		c := change(1, ban.KindBan, "203.0.113.0/24", used("1000", "pbx.example", "203.0.113.8"))
		task := taskOf(&c, "esl.fraud")
		for i := range all {
			p := party{[]string{all[i].IP, all[i].URL}, all[i].User, all[i].Realm, all[i].CallID}
			task.matches(&p, byIP)
			task.matches(&p, byUser)
			if name, bad := flushName(&all[i], all, byIP); bad == nil && (checkWord(name) != nil && len(name) <= maxValue || strings.EqualFold(name, "reboot")) {
				t.Errorf("%q would be sent", name)
			}
		}
	})
}
