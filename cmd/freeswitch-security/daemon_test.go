package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/actions/iptables"
	"freeswitch-security/engine"
	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/hashicorp/hcl/v2"
)

// A guarded is a daemon that runs in this process: the real engine and the real
// admin listener, a log that the test writes, and a wall in the place of the
// firewall. Every request to it is held against the contract.
type guarded struct {
	t       testing.TB
	socket  string
	log     string
	rules   string // their directory
	wall    *wall
	engine  *engine.Engine
	server  *admin.Server
	history *history.History
	changes chan ban.Change // what the daemon decided on its own
}

const guardedRules = `
source "log" "freeswitch" {
  path     = %q
  timezone = "UTC"
}

action "wall" "drop" {}

trusted "carriers" {
  networks = ["198.51.100.0/24"]
  comment  = "SIP trunks"
}

rule "password guessing" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure'"

  threshold {
    count  = 3
    within = "10m"
  }

  ban {
    for = "2h"
  }
}
`

// guard starts a daemon that ends with the test.
func guard(t testing.TB) *guarded { return guardWith(t, "") }

// guardWith is guard with more rules.
func guardWith(t testing.TB, more string) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{
		t: t, socket: filepath.Join(dir, "admin.sock"), log: filepath.Join(dir, "freeswitch.log"),
		wall: &wall{entries: map[ban.Target]uint64{}}, changes: make(chan ban.Change, 1000),
		history: history.New(history.Settings{Days: 90}),
	}
	g.write("")
	rules := filepath.Join(dir, "rules.d")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "a.hcl"), append(fmt.Appendf(nil, guardedRules, g.log), more...), 0o644); err != nil {
		t.Fatal(err)
	}
	g.rules = rules
	cfg, diags := g.load()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	g.run(cfg)
	return g
}

func (g *guarded) load() (*config.Config, hcl.Diagnostics) {
	cfg, diags, _ := config.Load(g.rules, config.Kinds{
		Sources: []plugin.SourceKind{logfile.Kind},
		Actions: []plugin.ActionKind{{Name: "wall", Blocks: true, Targets: iptables.Kind.Targets, New: func(*settings.Block, plugin.ActionEnv) plugin.Action {
			return g.wall
		}}},
	}, func(string) (string, bool) { return "", false })
	return cfg, diags
}

// reload is what the daemon does, without its log and its claims.
func (g *guarded) reload(ctx context.Context) (found []status.Diagnostic, err error) {
	cfg, diags := g.load()
	for _, d := range diags {
		severity := map[hcl.DiagnosticSeverity]string{hcl.DiagError: "error", hcl.DiagWarning: "warning"}[d.Severity]
		where := fmt.Sprintf("%s:%d:%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		found = append(found, status.Diagnostic{Severity: severity, Summary: d.Summary, Detail: d.Detail, Where: where})
	}
	if diags.HasErrors() {
		return found, errors.New("mistakes in " + g.rules)
	}
	return found, g.engine.Do(ctx, func() { g.engine.Reload(cfg) })
}

// run runs the engine, its listener, and what stands before it.
func (g *guarded) run(cfg *config.Config) {
	ready := make(chan struct{})
	g.engine = engine.New(cfg, engine.Options{
		Ready: func() { close(ready) },
		OnChange: func(v *ban.Change) {
			g.server.Send(v)
			if v.Rule != "" && !v.Standing {
				g.changes <- *v
			}
		},
	})
	var err error
	inner := filepath.Join(filepath.Dir(g.socket), "inner.sock")
	g.server, err = admin.New(admin.Options{
		Config: admin.Config{Socket: inner, SocketMode: 0o600}, Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
		Engine: g.engine, History: g.history, Reload: g.reload,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	listeners, err := g.server.Open(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { g.engine.Run(ctx) })
	all.Go(func() { g.server.Serve(ctx, listeners...) })
	g.t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	<-ready
	g.open(inner)
}

// open listens at the socket of the guarded, holds requests against the contract,
// and hands them on.
func (g *guarded) open(inner string) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../engine/admin/openapi.yaml")
	if err != nil {
		g.t.Fatal(err)
	}
	onward := &httputil.ReverseProxy{
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "localhost"
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", inner)
		}},
	}
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		g.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.holds(doc, r)
		onward.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = l
	server.Config.ErrorLog = onward.ErrorLog
	server.Start()
	g.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
}

// holds holds a request against the contract.
func (g *guarded) holds(doc *openapi3.T, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	path, params := r.URL.Path, map[string]string{}
	for _, list := range []string{"/security/blacklist/", "/security/whitelist/"} {
		if ip, ok := strings.CutPrefix(path, list); ok && ip != "batch" {
			path, params["ip"] = list+"{ip}", ip
		}
	}
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		g.t.Errorf("%s %s is not in the contract", r.Method, path)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params,
		Route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
	if err != nil {
		g.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
}

// do runs a verb against the daemon.
func (g *guarded) do(args ...string) (stdout string, status int) {
	g.t.Helper()
	stdout, stderr, status := g.piped("", args...)
	return stdout + stderr, status
}

// piped runs a verb that is given something on standard input.
func (g *guarded) piped(stdin string, args ...string) (stdout, stderr string, status int) {
	g.t.Helper()
	return asked(context.Background(), g.socket, stdin, args...)
}

// asked runs a verb against the API at admin.
func asked(ctx context.Context, admin, stdin string, args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, environ: func(name string) (string, bool) {
		return admin, name == "FREESWITCH_SECURITY_ADMIN"
	}}
	status = a.execute(ctx, args)
	return out.String(), errs.String(), status
}

// want runs a verb and wants its exit status and, of what it prints, each part.
func (g *guarded) want(status int, parts []string, args ...string) string {
	g.t.Helper()
	shown, got := g.do(args...)
	if got != status {
		g.t.Errorf("%q: exit status %d, want %d: %s", args, got, status, shown)
	}
	for _, part := range parts {
		if !strings.Contains(shown, part) {
			g.t.Errorf("%q lacks %q:\n%s", args, part, shown)
		}
	}
	return shown
}

// write appends to the log of the switch.
func (g *guarded) write(text string) {
	g.t.Helper()
	f, err := os.OpenFile(g.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		g.t.Fatal(err)
	}
}

// attack has an address fail n times as the given account, now.
func (g *guarded) attack(ip, user string, n int) {
	g.t.Helper()
	at := time.Now().UTC().Format("2006-01-02 15:04:05.000000")
	g.write(strings.Repeat(fmt.Sprintf("%s 99.50%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) "+
		"on sofia profile 'internal' for [%s@pbx.example] from ip %s\n", at, user, ip), n))
}

// decided waits for the next change of a rule.
func (g *guarded) decided() ban.Change {
	g.t.Helper()
	select {
	case v := <-g.changes:
		return v
	case <-time.After(20 * time.Second):
		g.t.Fatal("nothing was decided")
	}
	return ban.Change{}
}

// settle waits until the wall agrees with the ledger, which a change by hand does.
func (g *guarded) settle() { g.want(0, nil, "unban", "192.0.2.254") }

// A wall behaves as the firewall does: it holds what it was told, and takes
// nothing while it is broken.
type wall struct {
	mu      sync.Mutex            // guards what follows
	entries map[ban.Target]uint64 // packets stopped
	fault   error
	unread  error // why it cannot be inspected
}

func (w *wall) Apply(_ context.Context, batch ban.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != nil {
		return w.fault
	}
	for _, c := range batch.Changes {
		if c.InForce() {
			w.entries[c.Ban.Target] += 0
		} else {
			delete(w.entries, c.Ban.Target)
		}
	}
	return nil
}

func (w *wall) Resync(_ context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := maps.Clone(w.entries)
	clear(w.entries)
	for b := range want {
		w.entries[b.Target] = had[b.Target]
	}
	return plugin.Drift{}, w.fault
}

func (*wall) Repair(context.Context) (plugin.Drift, error) { return plugin.Drift{}, nil }

func (*wall) Withdraw(context.Context) error { return nil }

func (w *wall) Inspect(context.Context) (status.Kernel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := status.Kernel{Chain: "WALL", Backend: "rules"}
	if w.unread != nil {
		return in, w.unread
	}
	for _, target := range slices.SortedFunc(maps.Keys(w.entries), ban.Target.Compare) {
		in.Entries = append(in.Entries, status.Entry{Target: target, Packets: w.entries[target]})
	}
	if w.fault != nil {
		in.Add(status.Critical, "%v", w.fault)
	}
	return in, nil
}

// stop has a target's ban stop packets.
func (w *wall) stop(ip string, packets uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries[ban.Network(network(ip))] += packets
}

func network(ip string) netip.Prefix {
	p, err := ban.ParseNetwork(ip)
	if err != nil {
		panic(err)
	}
	return p
}

func (w *wall) breaks(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = err
}

func (w *wall) hides(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unread = err
}

// decoded reads the lines of a verb's JSON.
func decoded[T any](t testing.TB, text string) []T {
	t.Helper()
	var all []T
	d := json.NewDecoder(strings.NewReader(text))
	for {
		var v T
		switch err := d.Decode(&v); {
		case err == io.EOF:
			return all
		case err != nil:
			t.Fatalf("%v in %s", err, text)
		}
		all = append(all, v)
	}
}
