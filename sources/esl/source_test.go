package esl

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"
	"freeswitch-security/sources/logfile"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
)

func fromBlock(b *settings.Block) plugin.Source {
	return Kind(logfile.Builtin, logfile.Framed).New(b, plugin.SourceEnv{Name: "esl.pbx"})
}

func newFrom(t *testing.T, body string) (plugin.Source, hcl.Diagnostics) {
	t.Helper()
	return settingstest.Made(t, fromBlock, body, map[string]string{"secret": "Geheim"})
}

func made(t *testing.T, body string) *source {
	t.Helper()
	s, diags := newFrom(t, body)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return s.(*source)
}

func TestNew(t *testing.T) {
	s := made(t, `
		address  = "pbx.example"
		password = secret
		log      = false
		timezone = "UTC"
		queue    = 500
		capture  = true
	`)
	if s.name != "esl.pbx" || s.Switch().Address != "pbx.example:8021" || s.Switch().Password != "Geheim" || s.log || s.zone != time.UTC || s.queue != 500 || !s.capture {
		t.Errorf("%+v", s)
	}
	s = made(t, "")
	if s.Switch().Address != defaultAddress || s.Switch().Password != defaultPassword || !s.log || s.zone != time.Local || s.queue != defaultQueue || s.capture {
		t.Errorf("%+v", s)
	}
}

func TestAddress(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:8021", "192.0.2.1:8022": "192.0.2.1:8022", "::1": "[::1]:8021", "[::1]": "[::1]:8021",
		"[2001:db8::1]:1": "[2001:db8::1]:1", "pbx": "pbx:8021", "pbx.example:8021": "pbx.example:8021",
		"": "", ":8021": "", "pbx:0": "", "pbx:70000": "", "pbx:http": "", "a b": "", "tcp://pbx:8021": "", "pbx:": "", "[::1": "", "2001:db8::x": "", "pbx:1:2": "",
	} {
		s, diags := newFrom(t, fmt.Sprintf("address = %q", given))
		switch {
		case want == "" && (len(diags) != 1 || diags[0].Summary != "Invalid address"):
			t.Errorf("%q: %v, %v", given, s, diags)
		case want != "" && (diags.HasErrors() || s.(*source).at.Address != want):
			t.Errorf("%q: %v, %v; want %s", given, s, diags, want)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	_, diags := newFrom(t, `
address  = "localhost:esl"
password = "two\nlines"
log      = "perhaps"
timezone = "Europe/Berlim"
queue    = 3
events   = ["all"]
`)
	var got []string
	for _, d := range diags {
		got = append(got, fmt.Sprintf("%s: %s: %s", d.Subject, d.Summary, d.Detail))
	}
	want := []string{
		`site.hcl:2,12-27: Invalid address: "localhost:esl" is not the address of an event socket: write "host:port", "[2001:db8::1]:8021", or the host alone for port 8021.`,
		`site.hcl:3,12-24: Invalid password: The password of the event socket is one line of text. It stands in FreeSWITCH's event_socket.conf.xml; leave the attribute out for ClueCon.`,
		`site.hcl:4,12-21: Neither true nor false: Write true or false here.`,
		`site.hcl:5,12-27: Unknown timezone: "Europe/Berlim" is not a time zone: write an IANA name such as "Europe/Berlin" or "UTC", or leave the attribute out for the host's own.`,
		`site.hcl:6,12-13: Invalid number: A whole number from 100 to 1000000 is expected here.`,
		`site.hcl:7,1-7: Unsupported argument: An argument named "events" is not expected here.`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, body := range []string{"queue = 1.5", "queue = \"many\"", "password = \"\"", "timezone = \"\"", "address = 3\nqueue = -1"} {
		if _, diags := newFrom(t, body); !diags.HasErrors() {
			t.Errorf("%s was accepted", body)
		}
	}
}

func TestFingerprint(t *testing.T) {
	const body = "address = \"pbx\"\npassword = \"a\"\ntimezone = \"UTC\""
	settingstest.Differ(t, fromBlock, body,
		"", body+"\nlog = false", body+"\ncapture = true", body+"\nqueue = 100", strings.Replace(body, `"a"`, `"b"`, 1),
		strings.Replace(body, "pbx", "pbx2", 1), strings.Replace(body, "UTC", "Europe/Berlin", 1))
}

func TestVocabulary(t *testing.T) {
	with, without := made(t, "").Describe().Events.Names(), made(t, "log = false").Describe().Events.Names()
	if !slices.IsSorted(with) {
		t.Errorf("%+v", with)
	}
	if slices.Contains(without, event.UnknownUser) || !slices.Contains(without, event.AuthFailure) {
		t.Errorf("without records: %v", without)
	}
	for _, name := range event.Names {
		never := slices.Contains([]string{event.LogForgery, event.Listed, event.SIPRequest, event.SIPMalformed, event.NotSIP, event.Dialogue}, name)
		if slices.Contains(with, name) == never {
			t.Errorf("%s: %v", name, !never)
		}
	}
	// Every event of the log alone has the name of the log source.
	for _, path := range []string{"acl", "malformed", "socket", "floods", "users"} {
		events, _ := testSource().replayed(t, golden.Read(t, "testdata/"+path+".log.gz"), nil)
		for _, e := range events {
			if !slices.Contains(with, e.Name) {
				t.Errorf("%s is not in the vocabulary", e.Name)
			}
		}
	}
}

// TestSpecs compares the fields of recorded events with the table.
func TestSpecs(t *testing.T) {
	specs := map[string]plugin.EventSpec{}
	for _, spec := range testSource().Describe().Events {
		specs[spec.Name] = spec
	}
	paths, err := filepath.Glob("testdata/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		events, _ := testSource().replayed(t, golden.Read(t, path), nil)
		for _, e := range events {
			for i := range event.Fields {
				f := &event.Fields[i]
				if f.Settable && f.Name != "event" && f.Get(e) != "" && !slices.Contains(specs[e.Name].Fields, f.Name) {
					t.Errorf("%s: %s has the field %s", path, e.Name, f.Name)
				}
			}
		}
	}
	for _, name := range []string{"authenticated", "sip_auth_username", "expires"} {
		if !slices.Contains(specs[event.Registered].Raw, name) {
			t.Errorf("%s is not a raw field of %s", name, event.Registered)
		}
	}
}

func TestSubscription(t *testing.T) {
	set := func(names ...string) map[string]bool {
		want := map[string]bool{}
		for _, name := range names {
			want[name] = true
		}
		return want
	}
	everything := esl.Subscription{Events: []string{"CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_HANGUP_COMPLETE", "API"}, LogLevel: 4}
	for _, r := range reports {
		if strings.Contains(r.name, "::") && !slices.Contains(everything.Subclasses, r.name) {
			everything.Subclasses = append(everything.Subclasses, r.name)
		}
	}
	for _, test := range []struct {
		body string
		want map[string]bool
		sub  esl.Subscription
	}{
		{"", nil, everything},
		{"", set(), esl.Subscription{LogLevel: -1}},
		{"", set(event.AuthFailure), esl.Subscription{Subclasses: []string{"sofia::register_attempt", "sofia::register_failure"}, LogLevel: -1}},
		{"", set(event.AuthFailure, event.UnknownUser), esl.Subscription{Events: []string{"API"}, Subclasses: []string{"sofia::register_attempt", "sofia::register_failure"}, LogLevel: 4}},
		{"log = false", set(event.Call, event.ACLReject), esl.Subscription{Events: []string{"CHANNEL_CREATE"}, LogLevel: -1}},
		{"", set(event.CallRejected, event.CallEnded), esl.Subscription{Events: []string{"CHANNEL_HANGUP_COMPLETE"}, LogLevel: -1}},
		{"", set("malformed"), esl.Subscription{Events: []string{"API"}, LogLevel: 4}},
		{"", set(event.Gateway), esl.Subscription{Subclasses: []string{"sofia::gateway_add", "sofia::gateway_state", "sofia::gateway_delete"}, LogLevel: -1}},
		{"", set(event.Unregistered), esl.Subscription{Subclasses: []string{"sofia::unregister", "sofia::expire"}, LogLevel: -1}},
	} {
		test.sub.Headers = headersOf(test.want)
		if diff := cmp.Diff(test.sub, made(t, test.body).subscription(test.want), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %v: -want +got:\n%s", test.body, test.want, diff)
		}
	}
}
