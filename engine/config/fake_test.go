package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// kinds are three kinds of sources and two of actions, which only read their blocks.
var kinds = config.Kinds{
	Sources: []plugin.SourceKind{{Name: "log", New: newLog}, {Name: "esl", New: newESL}, {Name: "feed", New: newFeed}},
	Actions: []plugin.ActionKind{{Name: "iptables", New: newIPTables}, {Name: "webhook", New: newWebhook}},
}

// A fakeLog reports the events that its own event blocks name, beside the
// vocabulary, and no raw fields.
type fakeLog struct {
	Path        string
	Corroborate settings.Text
	Events      []string
}

func newLog(b *settings.Block, _ plugin.SourceEnv) plugin.Source {
	s := &fakeLog{}
	b.String("path", &s.Path)
	s.Corroborate, _ = b.Reference("corroborate", "source", "source.esl.pbx")
	for _, event := range b.Blocks("event", "name") {
		s.Events = append(s.Events, event.Labels[0])
		event.Require("line", "An event needs a line.")
		event.Text("line")
	}
	return s
}

func (s *fakeLog) Describe() plugin.Description {
	d := plugin.Description{Log: true, Corroborate: s.Corroborate}
	d.Events.Add(plugin.EventSpec{Name: event.AuthFailure, Raw: []string{"session"}})
	for _, name := range s.Events {
		d.Events.Add(plugin.EventSpec{Name: name, Raw: []string{"session"}})
	}
	return d
}

func (s *fakeLog) Replay(context.Context, plugin.Recording, map[string]bool, func(*event.Event) error) (plugin.Stats, error) {
	panic("loading must not read a source")
}

func (s *fakeLog) Follow(context.Context, plugin.Stream) error {
	panic("loading must not follow a source")
}

// A fakeESL may set any raw field.
type fakeESL struct{ Address, Password string }

func newESL(b *settings.Block, _ plugin.SourceEnv) plugin.Source {
	s := &fakeESL{}
	b.String("address", &s.Address)
	b.String("password", &s.Password)
	return s
}

func (s *fakeESL) Describe() plugin.Description {
	d := plugin.Description{Hears: true}
	for _, name := range []string{event.Registered, event.Unregistered, event.Call, event.CallAnswered, event.CallEnded, event.Gateway, event.GatewayRemoved} {
		d.Events.Add(plugin.EventSpec{Name: name, Open: true})
	}
	return d
}

func (s *fakeESL) Replay(context.Context, plugin.Recording, map[string]bool, func(*event.Event) error) (plugin.Stats, error) {
	panic("loading must not read a source")
}

func (s *fakeESL) Follow(context.Context, plugin.Stream) error {
	panic("loading must not follow a source")
}

// A fakeFeed is a list.
type fakeFeed struct{ fakeESL }

func newFeed(*settings.Block, plugin.SourceEnv) plugin.Source { return &fakeFeed{} }

func (*fakeFeed) Describe() plugin.Description { return plugin.Description{Feed: true} }

type fakeIPTables struct {
	Chain string
	Batch int
}

func newIPTables(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	a := &fakeIPTables{Chain: env.Chain}
	b.Int("batch", &a.Batch, 1, 1000)
	env.Claim("iptables chain " + a.Chain)
	return a
}

func (a *fakeIPTables) Apply(context.Context, ban.Batch) error {
	panic("loading must not apply an action")
}

type fakeWebhook struct{ url string }

// newWebhook adds a diagnostic without a position, which the configuration must add.
func newWebhook(b *settings.Block, _ plugin.ActionEnv) plugin.Action {
	a := &fakeWebhook{}
	b.Require("url", "A webhook needs a URL.")
	if b.String("url", &a.url) && !strings.HasPrefix(a.url, "http") {
		b.Add(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Invalid URL", Detail: "A webhook needs a URL that begins with http."}})
	}
	return a
}

func (a *fakeWebhook) Apply(context.Context, ban.Batch) error {
	panic("loading must not apply an action")
}

// environment looks up variables in a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// tree makes a file system out of paths and contents.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

// mustLoad loads rules.d from files without mistakes.
func mustLoad(t *testing.T, files, env map[string]string) *config.Config {
	t.Helper()
	cfg, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, environment(env))
	if diags.HasErrors() {
		t.Fatalf("loading failed:\n%s", printed(t, diags, sources))
	}
	return cfg
}

func printed(t testing.TB, diags hcl.Diagnostics, files config.Files) string {
	t.Helper()
	var b strings.Builder
	if err := config.Print(&b, diags, files, 0, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// site declares what most rules in these tests refer to.
const site = `
source "log" "freeswitch" {}
source "esl" "pbx" {}
action "iptables" "drop" {}
`

// ruleWith is a rule with a body of its own after `on`.
func ruleWith(body string) string {
	return fmt.Sprintf("%s\nrule \"r\" {\n  on = [source.log.freeswitch]\n%s\n}\n", site, body)
}
