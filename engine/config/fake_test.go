package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// kinds are two kinds of sources and two of actions, which decode their own
// bodies as real ones do and can do nothing else.
var kinds = config.Kinds{
	Sources: []plugin.SourceKind{{Name: "log", New: newLog}, {Name: "esl", New: newESL}},
	Actions: []plugin.ActionKind{{Name: "iptables", New: newIPTables}, {Name: "webhook", New: newWebhook}},
}

// A fakeLog reports the events that its own event blocks name, beside the
// vocabulary, and no raw fields.
type fakeLog struct {
	Path        string         `hcl:"path,optional"`
	Corroborate hcl.Expression `hcl:"corroborate,optional"`
	Events      []struct {
		Name string `hcl:"name,label"`
		Line string `hcl:"line"`
	} `hcl:"event,block"`
}

func newLog(body hcl.Body, env plugin.SourceEnv) (plugin.Source, hcl.Diagnostics) {
	s := &fakeLog{}
	return s, gohcl.DecodeBody(body, env.Eval, s)
}

func (s *fakeLog) Vocabulary() plugin.Vocabulary {
	v := plugin.Vocabulary{Fields: []string{"session"}}
	for _, e := range s.Events {
		v.Events = append(v.Events, e.Name)
	}
	return v
}

func (s *fakeLog) Replay(context.Context, plugin.Recording, map[string]bool, func(*event.Event) error) (plugin.Stats, error) {
	panic("loading must not read a source")
}

// Witness implements plugin.Doubter.
func (s *fakeLog) Witness() (ref string, where hcl.Range) {
	traversal, diags := hcl.AbsTraversalForExpr(s.Corroborate)
	if s.Corroborate == nil || diags.HasErrors() {
		return "", hcl.Range{} // not written
	}
	var names []string
	for _, step := range traversal {
		if attr, ok := step.(hcl.TraverseAttr); ok {
			names = append(names, attr.Name)
		}
	}
	if len(names) != 2 || len(traversal) != 3 {
		return "", hcl.Range{} // a mistake, which a real source tells of
	}
	return strings.Join(names, "."), s.Corroborate.Range()
}

// A fakeESL may set any raw field.
type fakeESL struct {
	Address  string `hcl:"address,optional"`
	Password string `hcl:"password,optional"`
}

func newESL(body hcl.Body, env plugin.SourceEnv) (plugin.Source, hcl.Diagnostics) {
	s := &fakeESL{}
	return s, gohcl.DecodeBody(body, env.Eval, s)
}

func (s *fakeESL) Vocabulary() plugin.Vocabulary {
	return plugin.Vocabulary{Events: []string{event.Registered, event.Unregistered, event.Gateway, event.GatewayRemoved}}
}

func (s *fakeESL) Replay(context.Context, plugin.Recording, map[string]bool, func(*event.Event) error) (plugin.Stats, error) {
	panic("loading must not read a source")
}

func (s *fakeESL) Follow(context.Context, []byte, map[string]bool, plugin.Sink) error {
	panic("loading must not follow a source")
}

func (s *fakeESL) Hearing() (events, records time.Time) { panic("loading must not ask a source") }

type fakeIPTables struct {
	Chain string
	Batch int `hcl:"batch,optional"`
}

func newIPTables(body hcl.Body, env plugin.ActionEnv) (plugin.Action, hcl.Diagnostics) {
	a := &fakeIPTables{Chain: env.Chain}
	return a, gohcl.DecodeBody(body, env.Eval, a)
}

func (a *fakeIPTables) Apply(context.Context, ban.Batch) error {
	panic("loading must not apply an action")
}

func (a *fakeIPTables) Claim() string { return "iptables chain " + a.Chain }

type fakeWebhook struct {
	URL string `hcl:"url"`
}

// newWebhook returns a diagnostic without a position, as a careless plugin would.
func newWebhook(body hcl.Body, env plugin.ActionEnv) (plugin.Action, hcl.Diagnostics) {
	a := &fakeWebhook{}
	diags := gohcl.DecodeBody(body, env.Eval, a)
	if !diags.HasErrors() && !strings.HasPrefix(a.URL, "http") {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid URL", Detail: "A webhook needs a URL that begins with http.",
		})
	}
	return a, diags
}

func (a *fakeWebhook) Apply(context.Context, ban.Batch) error {
	panic("loading must not apply an action")
}

// environment makes a lookup of variables out of a map.
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

// mustLoad loads rules.d from files, in which there must be no mistake.
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
