package esl

import (
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/engine/esl"
)

func TestMistakes(t *testing.T) {
	const source = "source = source.esl.pbx\n"
	for _, test := range []struct{ body, want string }{
		{`hangup = "ip"`, `The argument "source" is required`},
		{source, `Say what the switch is to do`},
		{`source = source.esl.pxb` + "\n" + `hangup = "ip"`, `there is no source.esl.pxb. Did you mean "esl.pbx"?`},
		{`source = source.nothing.alike` + "\n" + `hangup = "ip"`, `there is no source.nothing.alike. It must be a source "esl"`},
		{`source = source.log.freeswitch` + "\n" + `hangup = "ip"`, `source.log.freeswitch is not of kind "esl"`},
		{`source = "source.esl.pbx"` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{`source = esl.pbx` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{`source = source.esl[0]` + "\n" + `hangup = "ip"`, "three names without quotes"},
		{source + `hangup = "all"`, `"all": write "ip"`},
		{source + `hangup = ""`, `"": write "ip"`},
		{source + `flush_registration = ["ip"]`, "string required"},
		{source + `hangup = "ip"` + "\n" + `profile = "internal"`, "add flush_registration"},
		{source + `flush_registration = "ip"` + "\n" + `profile = "a b"`, "only letters, digits"},
		{source + `command = ""`, "it is empty"},
		{source + `command = "hash insert/<usr>"`, `there is no hole <usr>. Did you mean "user"?`},
		{source + `command = "<rule> x"`, "must be fixed"},
		{source + `command = "hash a\nfsctl shutdown"`, "one line"},
		{source + `command = "api hash x"`, `leave out the "api"`},
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
				t.Errorf("%s: nowhere", test.body)
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
	if c := a.(*Action).config; c.at != s || c.hangup != accounts || c.flush != byIP || c.profile != "internal" || c.command.word != "hash" {
		t.Errorf("%+v", c)
	}
	if _, diags := decodeBlock(t, "rules.json", `{"source": 3, "hangup": "user"}`, s); !strings.Contains(diags.Error(), "a text of three names") {
		t.Error(diags)
	}
}

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
		want := parsed.lits[0]
		for i, hole := range parsed.holes {
			if hole != "ip" && hole != "network" && checkPart(values[hole]) != nil {
				t.Errorf("%q was put into %q", values[hole], text)
			}
			want += values[hole] + parsed.lits[i+1]
		}
		if args != want {
			t.Errorf("%q became %q", text, args)
		}
	})
}

func FuzzRows(f *testing.F) {
	f.Add(listing(someCalls()))
	f.Add(`{"row_count":0}`)
	f.Fuzz(func(t *testing.T, answer string) {
		channels, err := rows[channel](answer)
		if err != nil {
			return
		}
		c := change(1, 1, "203.0.113.0/24", used("1000", "pbx.example", "203.0.113.8"))
		w, _ := wishOf(&c, "esl.fraud")
		for i := range channels {
			channels[i].isOf(&w, byIP)
			channels[i].isOf(&w, accounts)
		}
		all, err := rows[registration](answer)
		for i := range all {
			if name, bad := all[i].flushed(all, byIP); err == nil && bad == nil && (checkWord(name) != nil && len(name) <= maxValue || strings.EqualFold(name, "reboot")) {
				t.Errorf("%q would be sent", name)
			}
		}
	})
}
