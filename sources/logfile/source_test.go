package logfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

func fromBlock(b *settings.Block) plugin.Source {
	return Kind.New(b, plugin.SourceEnv{Name: "log.freeswitch"})
}

func newFrom(t *testing.T, body string) (plugin.Source, hcl.Diagnostics) {
	t.Helper()
	return settingstest.Made(t, fromBlock, body, map[string]string{"dir": "/logs"})
}

func TestNew(t *testing.T) {
	made, diags := newFrom(t, `
		path     = "${dir}/x.log"
		timezone = "UTC"
		event "toll_fraud" {
			line  = "Call to <destination> from <ip> by <customer>"
			file  = "mod_dptools.c"
			level = "warn"
		}
		event "unknown_user" { line = "Can't find user [<user>@<domain>] from <ip>" }
	`)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s := made.(*source)
	if s.path != "/logs/x.log" || s.zone != time.UTC || s.name != "log.freeswitch" || len(s.patterns) != len(builtin)+2 {
		t.Errorf("%q, %v, %q, %d patterns", s.path, s.zone, s.name, len(s.patterns))
	}
	names := s.Describe().Events.Names()
	raw, _ := s.Describe().Events.Raw()
	for _, name := range []string{"toll_fraud", event.AuthFailure, event.ESLDenied, "malformed"} {
		if !slices.Contains(names, name) {
			t.Errorf("%q is not among the events %v", name, names)
		}
	}
	if !slices.Contains(raw, "customer") || !slices.Contains(raw, "acl") || slices.Contains(raw, "user") || !slices.IsSorted(names) {
		t.Errorf("raw fields %v", raw)
	}
	events := s.Describe().Events
	i := slices.IndexFunc(events, func(e plugin.EventSpec) bool { return e.Name == event.UnknownUser })
	if got := fmt.Sprint(events[i].Fields, events[i].Raw); got != "[domain file ip level message user] []" {
		t.Errorf("unknown_user: %s", got)
	}
	log := "2026-05-04 10:11:12.131415 97.10% [WARNING] mod_dptools.c:1 Call to 9 from 192.0.2.1 by x y\n" + unknownLine + unknownText
	got := s.collect(strings.NewReader(log), time.Time{}, nil, defaultSizes())
	if len(got.events) != 2 || got.events[0].Fields["customer"] != "x y" || got.events[0].Source != "log.freeswitch" || got.events[1].Name != event.UnknownUser {
		t.Errorf("%+v", got)
	}
}

func TestNewDefaults(t *testing.T) {
	made, diags := newFrom(t, "")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if s := made.(*source); s.path != DefaultPath || s.zone != time.Local || len(s.patterns) != len(builtin) {
		t.Errorf("%+v", s)
	}
	made, diags = newFrom(t, "builtin = false\nevent \"x\" { line = \"y\" }")
	if diags.HasErrors() || !slices.Equal(made.Describe().Events.Names(), []string{event.LogForgery, "x"}) {
		t.Errorf("%v, %v", made.Describe(), diags)
	}
	made, diags = newFrom(t, "forgery = \"ignore\"\nbuiltin = false\nevent \"x\" { line = \"y\" }")
	if diags.HasErrors() || !slices.Equal(made.Describe().Events.Names(), []string{"x"}) {
		t.Errorf("%v, %v", made.Describe(), diags)
	}
}

func TestDiagnostics(t *testing.T) {
	_, diags := newFrom(t, `
path     = ""
timezone = "Europe/Berlim"
builtin  = "perhaps"
forgery  = "detekt"
corroborate = ["source.esl.pbx"]
speed    = 3
event "auth_failures" { line = "x <usr> from <ip>" }
event "Own" { line = "a<user><domain>" }
event "toll_fraud" {
  line  = <<-EOT
    two
    lines
  EOT
  file  = "sofia_reg.c:1787"
  level = "WARNINGS"
}
event "own" {}
`)
	var got []string
	for _, d := range diags {
		got = append(got, fmt.Sprintf("%s: %s: %s", d.Subject, d.Summary, d.Detail))
	}
	want := []string{
		`site.hcl:2,12-14: Empty path: Write the path of the file.`,
		`site.hcl:3,12-27: Unknown timezone: "Europe/Berlim" is not a time zone: write an IANA name such as "Europe/Berlin" or "UTC", or leave the attribute out for the host's own.`,
		`site.hcl:5,12-20: Unknown forgery: "detekt" is none of "detect", "ignore". Did you mean "detect"?`,
		`site.hcl:6,15-33: Invalid reference: A reference is three names without quotes, such as source.esl.pbx.`,
		`site.hcl:4,12-21: Neither true nor false: Write true or false here.`,
		`site.hcl:8,7-22: Unknown event: There is no event "auth_failures". Did you mean "auth_failure"? An event of your own needs a name that is less like it.`,
		`site.hcl:8,32-51: Unknown field: There is no field "usr". Did you mean "user"? A field of your own needs a name that is less like it.`,
		`site.hcl:9,7-12: Bad event name: "Own" is not an event name: write small letters, digits and underscores, a letter first.`,
		`site.hcl:9,22-39: Holes without text between them: It is not clear where <user> ends and <domain> begins. Put the text that stands between them, or make them one hole.`,
		`site.hcl:11,11-14,6: Pattern of several lines: A pattern is compared with the first line of a message. Remove the lines that follow it.`,
		`site.hcl:15,11-29: Bad source file: Write the name of FreeSWITCH's source file as the line shows it, without the line number: "sofia_reg.c".`,
		`site.hcl:16,11-21: Unknown level: "WARNINGS" is not a log level. Did you mean "WARNING"? Levels are CONSOLE, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG.`,
		`site.hcl:18,1-12: Missing line: Paste the message that the event is made of, and write <name> where it varies.`,
		`site.hcl:7,1-6: Unsupported argument: An argument named "speed" is not expected here.`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, diags = newFrom(t, "builtin = false"); len(diags) != 1 || diags[0].Summary != "Source without events" {
		t.Errorf("%v", diags)
	}
}

func TestWitness(t *testing.T) {
	made, diags := newFrom(t, "corroborate = source.esl.pbx\nforgery = \"ignore\"")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	witness := made.Describe().Corroborate
	if witness.Value != "esl.pbx" || witness.Range.String() != "site.hcl:1,15-29" || !slices.Contains(made.Describe().Events.Names(), event.LogForgery) {
		t.Errorf("%+v", witness)
	}
	if ref := builtinSource().Describe().Corroborate.Value; ref != "" {
		t.Errorf("corroborate is %q by default", ref)
	}
	for body, want := range map[string]string{
		"corroborate = source.esl":            "Invalid reference",
		"corroborate = source.esl.pbx.more":   "Invalid reference",
		"corroborate = source.esl[0]":         "Invalid reference",
		"corroborate = action.esl.pbx":        "Invalid reference",
		"corroborate = \"source.esl.pbx\"":    "Invalid reference",
		"corroborate = source.log.freeswitch": "Source that corroborates itself",
	} {
		if _, diags := newFrom(t, body); len(diags) != 1 || diags[0].Summary != want {
			t.Errorf("%s: %v", body, diags)
		}
	}
}

func TestWitnessInJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"corroborate": "source.esl.pbx"}`: "esl.pbx",
		`{"corroborate": "esl.pbx"}`:        "",
		`{"corroborate": 3}`:                "",
	} {
		b := settingstest.Block(t, "site.json", body, nil)
		made := fromBlock(b)
		diags := b.Diagnostics()
		if want == "" {
			if len(diags) != 1 || diags[0].Detail != `A reference is a text of three names here, such as "source.esl.pbx".` {
				t.Errorf("%s: %v", body, diags)
			}
			continue
		}
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if ref := made.Describe().Corroborate.Value; ref != want {
			t.Errorf("%s: %q", body, ref)
		}
	}
}

// TestFingerprint checks that every setting of a block makes another fingerprint, so
// that a reload replaces the source.
func TestFingerprint(t *testing.T) {
	settingstest.Differ(t, fromBlock,
		"", `path = "/other"`, `forgery = "ignore"`, "corroborate = source.esl.pbx", `timezone = "UTC"`,
		"builtin = false\nevent \"x\" {\nline = \"y\"\n}",
		`event "x" { line = "y" }`, `event "xx" { line = "y" }`, `event "x" { line = "z" }`,
		"event \"x\" {\nline = \"y\"\nlevel = \"ERR\"\n}", "event \"x\" {\nline = \"y\"\nfile = \"sofia.c\"\n}")
}

// TestExplainForgery checks that a forged line is named if the lines around it are given.
func TestExplainForgery(t *testing.T) {
	s := newStage()
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.Add(time.Second), victim))
	s.goesOn(session, 20)
	got := builtinSource().Explain(s.String())
	for _, want := range []string{
		"Line 4 is taken for a forgery, not for auth_failure: the line behind it is stamped earlier,",
		"It was written by 192.0.2.80, whose request FreeSWITCH was logging there.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	s := builtinSource()
	const invite = "2026-05-04 10:11:12.131415 97.10% [INFO] sofia.c:1 sofia/x/a receiving invite from 1.1.1.1:1 version: 1 call-id: "
	for _, test := range []struct{ input, want string }{
		{failureLine, `Header:  "2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 "
  time   2026-05-04T10:11:12.131415Z
  level  WARNING
  file   "sofia_reg.c"
Message: "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.5"
Event:   auth_failure, by the pattern "SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>"
  ip          203.0.113.5
  user        "1000"
  domain      "pbx"
  profile     "internal"
  method      "REGISTER"
`},
		{unknownLine + unknownText, "Event:   unknown_user"},
		{"08-03 07:56:53 [ERR] sofia.c:1 NO CONTACT!", "without a year"},
		{"08-03 07:56:53 [ERR] sofia.c:1 NO CONTACT!", "has no address"},
		{" " + failureLine, "begins with white space"},
		{"x\x1b[31m", "No event: the line does not begin with FreeSWITCH's header"},
		{failureLine[len(plain):], "Behind a header, its text would match the pattern"},
		{"Dialplan: x", "begins a record that has no header"},
		{failureLine + "\n", "with a further line that FreeSWITCH does not write there"},
		{invite + "receiving invite from 2.2.2.2:2 version: 1 call-id: x", "with more than one address"},
		{syslogLine("May  4 10:11:12 pbx1 ", 1024), "may have been cut off"},
		{strings.Replace(failureLine, "sofia_reg.c", "mod_x.c", 1), `counts only from sofia_reg.c, not from "mod_x.c"`},
		{strings.Replace(failureLine, "WARNING", "DEBUG", 1), "counts only at level WARNING, not at DEBUG"},
		{strings.Replace(failureLine, "on sofia", "on sophia", 1), `it differs at "phia profile 'internal' for [1000@pbx] from ip 203.0.113.5", where "fia profile '" must stand`},
		{strings.Replace(failureLine, "] from", "\x1b] form", 1), `it differs at "pbx\x1b] form ip 203.0.113.5", where "] from ip " must stand`},
		{strings.Replace(failureLine, "203.0.113.5", "203.0.113.5.6", 1), "its fixed text is there, but what is left"},
		{plain + "~", "no pattern begins like it"},
		{plain + strings.Repeat("x", 70_000), "longer than 65536 bytes"},
		{"", "No event"},
	} {
		got := s.Explain(test.input)
		if !strings.Contains(got, test.want) {
			t.Errorf("%q:\n%s\nwant %s", test.input, got, test.want)
		}
		if strings.ContainsAny(got, "\x1b\r\x00") {
			t.Errorf("%q: not escaped:\n%q", test.input, got)
		}
	}
}
