package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
	eslsource "freeswitch-security/sources/esl"
	"freeswitch-security/sources/logfile"
)

// Answers are those of a FreeSWITCH, by command.
type answers map[string]string

// vanilla is a FreeSWITCH with its default configuration.
func vanilla() answers {
	return answers{
		"version":                 "FreeSWITCH Version 1.11.3-dev~64bit (git cc93a68 64bit)\n",
		"strftime %z":             "+0000",
		"module_exists mod_sofia": "true",

		"global_getvar default_password": "1234",
		"sofia xmlstatus": `<?xml version="1.0" encoding="ISO-8859-1"?>
<profiles>
<profile>
<name>internal</name>
<type>profile</type>
<data>sip:mod_sofia@10.77.0.10:5060</data>
<state>RUNNING (0)</state>
</profile>
<profile>
<name>external</name>
<type>profile</type>
<data>sip:mod_sofia@10.77.0.10:5080</data>
<state>RUNNING (0)</state>
</profile>
<profile>
<name>external</name>
<data>sip:mod_sofia@10.77.0.10:5081;transport=tls</data>
<state>RUNNING (0) (TLS)</state>
</profile>
<alias>
<name>10.77.0.10</name>
<type>alias</type>
<data>internal</data>
<state>ALIASED</state>
</alias>
</profiles>
`,
		located("event_socket.conf"): `<configuration name="event_socket.conf" description="Socket Client">
  <settings>
    <param name="listen-ip" value="::"></param>
    <param name="listen-port" value="8021"></param>
    <param name="password" value="ClueCon"></param>
  </settings>
</configuration>`,
		located("logfile.conf"): `<configuration name="logfile.conf"><profiles><profile name="default"><settings>
    <param name="rollover" value="1048576000"/>
    <param name="uuid" value="true"/>
  </settings></profile></profiles></configuration>`,
		located("sofia.conf"): `<configuration name="sofia.conf"><global_settings><param name="log-level" value="0"/></global_settings><profiles>
  <profile name="external"><gateways/><settings>
    <param name="context" value="public"/>
    <param name="auth-calls" value="false"/>
  </settings></profile>
  <profile name="internal"><settings>
    <param name="context" value="public"/>
    <param name="apply-inbound-acl" value="domains"/>
    <param name="auth-calls" value="true"/>
    <param name="log-auth-failures" value="false"/>
    <param name="inbound-reg-force-matching-username" value="true"/>
  </settings></profile>
  <profile name="stopped"><settings><param name="accept-blind-auth" value="true"/></settings></profile>
</profiles></configuration>`,
	}
}

// hardened is vanilla with all the doctor's fixes.
func hardened() answers {
	p := vanilla()
	set := func(name, old, new string) {
		p[located(name)] = strings.Replace(p[located(name)], old, new, 1)
	}
	p["global_getvar default_password"] = "correct horse"
	set("event_socket.conf", `"::"`, `"127.0.0.1"`)
	set("event_socket.conf", "ClueCon", "correct horse")
	set("logfile.conf", `"uuid" value="true"`, `"uuid" value="false"`)
	set("sofia.conf", `"auth-calls" value="false"/>`, `"auth-calls" value="no"/><param name="apply-inbound-acl" value="carriers"/>`+
		`<param name="disable-register" value="true"/><param name="log-auth-failures" value="1"/>`)
	set("sofia.conf", `"log-auth-failures" value="false"`, `"log-auth-failures" value="true"`)
	return p
}

func located(name string) string { return "xml_locate configuration configuration name " + name }

func (p answers) answer(command string) string {
	if answer, ok := p[command]; ok {
		return answer
	}
	switch {
	case command == "strmicroepoch":
		return strconv.FormatInt(time.Now().UnixMicro(), 10)
	case strings.HasPrefix(command, "xml_locate"):
		return "can't find anything\n"
	}
	return fmt.Sprintf("-ERR %s Command not found!\n", command)
}

// healthyHost lacks nothing.
func healthyHost() host {
	return host{
		now:       func() time.Time { return time.Now().UTC() },
		addresses: func() []netip.Addr { return nil },
		installed: func(string) bool { return true },
		lacking:   func() []string { return nil },
		inSync:    func() (bool, bool) { return true, true },
	}
}

// A visit is what is needed to see the doctor.
type visit struct {
	rules   string // with @ADDRESS@, and @LOG@ where the log is
	log     string // its content
	options Options
	json    bool
	host    host
}

// see examines the switch at address, and returns what is printed, with the places that differ in
// each run replaced by their names.
func (v visit) see(t *testing.T, address string) (found []Finding, printed string) {
	t.Helper()
	dir := t.TempDir()
	v.options.Log = filepath.Join(dir, "freeswitch.log")
	if v.log != "" {
		if err := os.WriteFile(v.options.Log, []byte(v.log), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules := strings.NewReplacer("@ADDRESS@", address, "@LOG@", v.options.Log).Replace(v.rules)
	if err := os.WriteFile(filepath.Join(dir, "site.hcl"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, kinds, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	v.options.Config = cfg
	if v.options.Conf == "" {
		v.options.Conf = filepath.Join(dir, "etc")
	}
	var out bytes.Buffer
	found, err := examine(t.Context(), v.options, v.host)
	if err != nil {
		fmt.Fprintln(&out, err)
	} else if err := Print(&out, found, v.json, false); err != nil {
		t.Fatal(err)
	}
	return found, strings.NewReplacer(address, "ADDRESS", v.options.Log, "LOG", v.options.Conf, "ETC").Replace(out.String())
}

const (
	ofSwitch = `source "esl" "pbx" {
  address  = "@ADDRESS@"
  password = "ClueCon"
}
`
	ofLog = `source "log" "freeswitch" {
  path = "@LOG@"
}
`
	traced = `0ea680a1-b96e-4bb6-9c1b-ca0f1f2b38f7 2026-11-22 21:45:27.833284 90.43% [INFO] sofia.c:10472 x
recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:
`
)

var kinds = config.Kinds{Sources: []plugin.SourceKind{logfile.Kind, eslsource.Kind(logfile.Builtin, logfile.Framed)}}

func TestExamine(t *testing.T) {
	poor := healthyHost()
	poor.installed = func(name string) bool { return name == "ip6tables" }
	poor.lacking = func() []string { return []string{"CAP_NET_ADMIN", "CAP_NET_RAW"} }
	poor.inSync = func() (bool, bool) { return false, true }
	old := hardened()
	old["version"] = "FreeSWITCH Version 1.8.7-6-6047ebddfc~64bit (-6-6047ebddfc 64bit)\n"
	old["strmicroepoch"] = "1795385616701843"
	old["strftime %z"] = "+0900"
	old["module_exists mod_sofia"] = "false"
	blind := hardened()
	blind[located("switch.conf")] = `<configuration name="switch.conf"><settings><param name="event-heartbeat-interval" value="300"/></settings></configuration>`
	blind[located("logfile.conf")] = strings.Replace(blind[located("logfile.conf")], "</settings>", `</settings><mappings><map name="all" value="crit,alert"/></mappings>`, 1)
	late := healthyHost()
	late.now = func() time.Time { return time.UnixMicro(1795385616701843).UTC().Add(90 * time.Second) }
	for _, test := range []struct {
		name     string
		answers  answers
		options  esltest.Options
		visit    visit
		critical bool
	}{
		{"vanilla", vanilla(), esltest.Options{}, visit{rules: ofSwitch + ofLog, log: traced, host: healthyHost()}, true},
		{"hardened", hardened(), esltest.Options{Password: "correct horse"}, visit{
			rules: strings.Replace(ofSwitch, "ClueCon", "correct horse", 1) + ofLog, log: "fine\n", host: healthyHost(),
		}, false},
		{"corroborated", vanilla(), esltest.Options{}, visit{
			rules: ofSwitch + strings.Replace(ofLog, "}", "  corroborate = source.esl.pbx\n}", 1), host: healthyHost(),
		}, true},
		{"old", old, esltest.Options{Password: "correct horse"}, visit{
			rules: strings.Replace(ofSwitch, "ClueCon", "correct horse", 1) + ofLog, log: "fine\n", host: late,
		}, false},
		{"files", nil, esltest.Options{Password: "other"}, visit{
			rules: strings.Replace(ofSwitch, "ClueCon", "mistaken", 1) + ofLog, log: "fine\n",
			options: Options{Conf: "testdata/etc"}, host: healthyHost(),
		}, true},
		{"stale_files", nil, esltest.Options{Password: "other"}, visit{
			rules: ofSwitch, options: Options{Conf: "testdata/etc"}, host: healthyHost(),
		}, true},
		{"access_list", nil, esltest.Options{RefuseACL: true}, visit{rules: ofSwitch, host: healthyHost()}, true},
		{"poor_host", hardened(), esltest.Options{}, visit{rules: ofSwitch, host: poor}, true},
		{"deaf", answers{}, esltest.Options{}, visit{rules: ofSwitch, host: healthyHost()}, true},
		{"blind", blind, esltest.Options{}, visit{rules: ofSwitch + ofLog, log: strings.Repeat("Failed password for root\n", 20), host: healthyHost()}, true},
		{"wrong_source", nil, esltest.Options{}, visit{rules: ofSwitch, options: Options{Source: "source.esl.pxb"}, host: healthyHost()}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.API = test.answers.answer
			found, said := test.visit.see(t, esltest.Start(t, test.options).Addr())
			if IsCritical(found) != test.critical {
				t.Errorf("critical: %t, want %t", IsCritical(found), test.critical)
			}
			if strings.Contains(said, "correct horse") {
				t.Error("the password is printed")
			}
			golden.Compare(t, "testdata/"+test.name+".txt", said)
		})
	}
}

// TestHiddenLevel: a level above WARNING is critical.
func TestHiddenLevel(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{API: hardened().answer})
	at := esl.Switch{Address: sw.Addr(), Password: "ClueCon"}
	c, err := at.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for level, want := range map[string]bool{"debug": false, "warning": false, "err": true} {
		if _, err := c.API(t.Context(), "fsctl", "loglevel", level); err != nil {
			t.Fatal(err)
		}
		found, _ := visit{rules: ofSwitch, host: healthyHost()}.see(t, sw.Addr())
		if hidden := strings.Contains(fmt.Sprint(found), "the log level of FreeSWITCH hides warnings"); hidden != want || IsCritical(found) != want {
			t.Errorf("%s: %+v", level, found)
		}
	}
}

// TestUnloggedPasswords: a log is blind without them, and an event socket is not.
func TestUnloggedPasswords(t *testing.T) {
	for ref, want := range map[string]Severity{"": critical, "esl.pbx": info} {
		if got := (&exam{ref: ref}).logChecks()[0].severity; got != want {
			t.Errorf("%q: %s, want %s", ref, got, want)
		}
	}
}

// TestProfileOfTheLog: the profile that writes the log decides what stands in it.
func TestProfileOfTheLog(t *testing.T) {
	const usual, own = "/var/log/freeswitch/freeswitch.log", "/var/log/freeswitch/guard.log"
	profile := func(settings ...string) section {
		var p section
		for i := 0; i < len(settings); i += 2 {
			p.Params = append(p.Params, param{settings[i], settings[i+1]})
		}
		return p
	}
	guard := profile("logfile", own, "uuid", "false")
	for i, test := range []struct {
		path, log string // of the log, and of the switch's; "": not known
		profiles  []section
		want      bool
	}{
		{usual, usual, []section{profile()}, true},
		{own, usual, []section{profile(), guard}, false},
		{usual, usual, []section{profile(), guard}, true},
		{usual, "", []section{profile("uuid", "false"), guard}, false},
		{"/mnt/freeswitch.log", usual, []section{profile(), guard}, true},
		{"/mnt/freeswitch.log", usual, []section{profile("logfile", "$${log_dir}/freeswitch.log")}, true},
		{"/mnt/freeswitch.log", usual, []section{profile("logfile", "$${log_dir}/x")}, false},
		{"/mnt/guard.log", usual, []section{profile(), guard}, false},
		{"/mnt/freeswitch.log", usual, []section{guard}, false},
	} {
		x := &exam{logPath: test.path, switchLog: test.log, logging: &section{Profiles: test.profiles}}
		if got := x.prefixes(); got != test.want {
			t.Errorf("%d: %t, want %t", i, got, test.want)
		}
	}
}

func TestDoctorInJSON(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{API: vanilla().answer})
	_, said := visit{rules: ofSwitch, json: true, host: healthyHost()}.see(t, sw.Addr())
	var answer struct {
		Critical, Warnings int
		Findings           []Finding
	}
	if err := json.Unmarshal([]byte(said), &answer); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if answer.Critical != 2 || len(answer.Findings) < 5 || answer.Findings[0].Severity != critical || answer.Findings[0].Fix == "" {
		t.Errorf("%+v", answer)
	}
}

// TestDoctorAtTheWire demands that no command to the switch changes it, but for a line in its log.
func TestDoctorAtTheWire(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{API: vanilla().answer})
	visit{rules: ofSwitch + ofLog, log: "x\n", host: healthyHost()}.see(t, sw.Addr())
	for _, command := range sw.Commands()[1:] {
		verb, _, _ := strings.Cut(strings.TrimPrefix(command, "api "), " ")
		switch verb {
		case "auth", "event", "log", "version", "strmicroepoch", "strftime", "module_exists", "xml_locate", "global_getvar":
		default:
			if command != "api sofia xmlstatus" {
				t.Errorf("%q was sent", command)
			}
		}
	}
}

// TestLostConnection loses the connection at every command in turn.
func TestLostConnection(t *testing.T) {
	for fatal := int32(1); ; fatal++ {
		var asked atomic.Int32
		starting := make(chan *esltest.Switch, 1)
		sw := esltest.Start(t, esltest.Options{API: func(command string) string {
			if asked.Add(1) == fatal {
				(<-starting).Drop()
			}
			return vanilla().answer(command)
		}})
		starting <- sw
		found, said := visit{rules: ofSwitch, host: healthyHost()}.see(t, sw.Addr())
		if asked.Load() < fatal {
			return
		}
		if !IsCritical(found) || !strings.Contains(said, "could not be asked") {
			t.Errorf("lost at command %d:\n%s", fatal, said)
		}
	}
}

func TestProbe(t *testing.T) {
	open := esltest.Start(t, esltest.Options{}).Addr()
	fenced := esltest.Start(t, esltest.Options{RefuseACL: true}).Addr()
	closed := esltest.Start(t, esltest.Options{})
	gone := closed.Addr()
	closed.Close()
	for address, want := range map[string]bool{open: true, fenced: false, gone: false} {
		if asksForPassword(t.Context(), address) != want {
			t.Errorf("%s: %t", address, !want)
		}
	}
}

func TestOpenSocket(t *testing.T) {
	private, public := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("2001:db8::5")
	const acl = `<configuration><settings><param name="listen-ip" value="::"/><param name="apply-inbound-acl" value="lan"/></settings></configuration>`
	for _, test := range []struct {
		open     []netip.Addr
		password string
		conf     string
		want     Severity
	}{
		{[]netip.Addr{private}, "x", "", warning},
		{[]netip.Addr{private, public}, "x", "", critical},
		{[]netip.Addr{private}, "ClueCon", "", critical},
		{[]netip.Addr{private}, "x", acl, info},
		{nil, "x", acl, healthy},
		{nil, "x", strings.Replace(acl, "apply-inbound-acl", "other", 1), warning},
	} {
		x := &exam{host: healthyHost(), at: esl.Switch{Password: test.password}, open: test.open, probed: true, entered: true}
		if d, err := parseXML(test.conf); err == nil && test.conf != "" {
			x.socket = &d.Config
		}
		x.judgeSocket()
		worst := healthy
		for _, d := range x.found {
			if d.Severity == critical || worst == healthy {
				worst = d.Severity
			}
		}
		if worst != test.want {
			t.Errorf("%v, %q, %s: %s", test.open, test.password, test.conf, worst)
		}
	}
}

func TestHere(t *testing.T) {
	x := &exam{host: healthyHost()}
	x.host.addresses = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.1")} }
	for address, want := range map[string]bool{
		"127.0.0.1:8021": true, "[::1]:8021": true, "localhost:8021": true, "192.0.2.1:8021": true, "[::ffff:192.0.2.1]:8021": true,
		"192.0.2.2:8021": false, "pbx.example:8021": false, "nonsense": false,
	} {
		if x.at.Address = address; x.here() != want {
			t.Errorf("%s: %t", address, !want)
		}
	}
}

// A fakeLevel is an action with something to report.
type fakeLevel struct{ found status.Kernel }

func (fakeLevel) Apply(context.Context, ban.Batch) error { return nil }

func (fakeLevel) Resync(context.Context, iter.Seq[ban.Ban]) (plugin.Drift, error) {
	return plugin.Drift{}, nil
}

func (fakeLevel) Repair(context.Context) (plugin.Drift, error) { return plugin.Drift{}, nil }

func (fakeLevel) Withdraw(context.Context) error { return nil }

func (f fakeLevel) Inspect(context.Context) (status.Kernel, error) { return f.found, nil }

func TestJudgeActions(t *testing.T) {
	cfg := &config.Config{Actions: []config.Action{
		{Ref: "iptables.a", Blocks: true, Action: fakeLevel{}},
		{Ref: "iptables.b", Blocks: true, Action: fakeLevel{status.Kernel{Problems: status.List[status.Problem]{
			{Severity: status.Critical, Text: "chain missing"}, {Severity: status.Critical, Text: "no jump"}, {Severity: status.Warning, Text: "slow\n"},
		}}}},
	}}
	cfg.Security.AutoBlock = true
	x := &exam{host: healthyHost(), cfg: cfg}
	x.judgeActions(t.Context())
	found := x.found
	want := []Severity{healthy, critical, warning}
	if len(found) != len(want) {
		t.Fatalf("%+v", found)
	}
	for i, d := range found {
		if d.Severity != want[i] {
			t.Errorf("%+v", d)
		}
	}
	if what := found[1].What; what != "action iptables.b: chain missing (and 1 more)" {
		t.Error(what)
	}
	dry := &exam{host: healthyHost(), cfg: cfg, dryRun: true}
	dry.judgeActions(t.Context())
	if slices.ContainsFunc(dry.found, func(f Finding) bool { return f.Severity == critical || f.Severity == healthy }) || !slices.ContainsFunc(dry.found, func(f Finding) bool { return f.What == "the guard runs dry" }) {
		t.Errorf("in a dry run: %+v", dry.found)
	}
}

// TestNoStream wants a disabled event socket enabled, not declared a second time.
func TestNoStream(t *testing.T) {
	for want, cfg := range map[string]*config.Config{
		`source "esl" "pbx" {`: {Disabled: []string{"log.freeswitch"}},
		"remove enabled = false from the block of source.esl.pbx": {Disabled: []string{"log.freeswitch", "esl.pbx"}},
	} {
		x := &exam{host: healthyHost(), cfg: cfg}
		if x.judgeRules(); len(x.found) != 1 || !strings.HasPrefix(x.found[0].Fix, want) {
			t.Errorf("%q is not in %+v", want, x.found)
		}
	}
}

func TestWhichLog(t *testing.T) {
	cfg := &config.Config{Sources: []config.Source{{Ref: "log.a", Description: plugin.Description{Log: true, Path: "/no/such/log"}}}}
	for _, test := range []struct{ asked, want string }{{"", "/no/such/log"}, {"/nor/this", "/nor/this"}} {
		x := &exam{host: healthyHost(), cfg: cfg, logPath: test.asked, switchLog: "/var/log/freeswitch.log"}
		x.tailLog()
		if x.logPath != test.want || !errors.Is(x.tail.fault, os.ErrNotExist) {
			t.Errorf("%q: %s, %v", test.asked, x.logPath, x.tail.fault)
		}
	}
}

// TestLongLog reads the end of a log from the middle of a line.
func TestLongLog(t *testing.T) {
	for end, want := range map[string]logTail{
		"fine\n": {}, traced: {uuids: true, traced: true}, "from recv 350 bytes from udp/[192.0.2.1]:5060\n": {},
	} {
		path := filepath.Join(t.TempDir(), "freeswitch.log")
		text := strings.Repeat(traced, 1000) + strings.Repeat("x", 64<<10-len(end)-10) + "\n" + end
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got logTail
		if err := got.readFile(path, time.Now()); err != nil || !got.read || got.uuids != want.uuids || got.traced != want.traced {
			t.Errorf("%q: %+v, %v", end, got, err)
		}
	}
	var got logTail
	if err := got.readFile(t.TempDir(), time.Now()); err == nil {
		t.Error("a directory is accepted as a log")
	}
}

func TestThisHost(t *testing.T) {
	h := thisHost()
	if !h.installed("sh") || h.installed("no such program") {
		t.Error("programs")
	}
	h.lacking()
	h.inSync()
	for _, addr := range h.addresses() {
		if addr.Is4In6() || addr.Zone() != "" {
			t.Error(addr)
		}
	}
}

func TestIsTrue(t *testing.T) {
	for text, want := range map[string]bool{"": false, "Yes": true, "on": true, "0": false, "00": false, "1": true, "10": true, "x1": false, "false": false, "$${x}": false} {
		if isTrue(text) != want {
			t.Errorf("%q", text)
		}
	}
}

func FuzzFreeSWITCHsXML(f *testing.F) {
	for _, answer := range vanilla() {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseXML(text)
		if err != nil {
			return
		}
		x := &exam{host: healthyHost(), socket: &root.Config, logging: &root.Config, sofia: &root.Config, cfg: &config.Config{}}
		x.judgeSocket()
		x.judgeProfiles()
		x.judgeLog()
		for _, d := range x.found {
			if d.What == "" {
				t.Error("a Finding without a word")
			}
		}
	})
}

// TestJudgeAdmin reports a listener that needs neither token nor certificate.
func TestJudgeAdmin(t *testing.T) {
	judge := func(cfg *config.Config) []Finding {
		x := &exam{host: healthyHost(), cfg: cfg}
		x.judgeAdmin()
		return x.found
	}
	for want, listeners := range map[bool][]*config.Admin{
		true:  {{Listen: "127.0.0.1:8080"}, {Listen: "[::1]:8080", Socket: "/run/admin.sock"}},
		false: {nil, {Socket: "/run/admin.sock"}, {Listen: "127.0.0.1:8080", Token: "x"}, {Listen: "192.0.2.1:8080", ClientCA: "ca.pem"}},
	} {
		for _, listener := range listeners {
			if found := judge(&config.Config{Admin: listener}); (len(found) == 1) != want {
				t.Errorf("%+v: %+v", listener, found)
			}
		}
	}
	found := judge(&config.Config{Admin: &config.Admin{Listen: "127.0.0.1:8080", TLSCert: "a.pem"}})
	if len(found) != 1 || !strings.HasSuffix(found[0].What, " https://127.0.0.1:8080") {
		t.Errorf("with TLS: %+v", found)
	}
	if found := judge(nil); found != nil {
		t.Errorf("without rules: %+v", found)
	}
}

// TestPipedLog checks that the doctor neither waits for the writer of a named pipe nor takes
// its lines.
func TestPipedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Sources: []config.Source{{Ref: "log.a", Description: plugin.Description{Log: true, Path: path}}}}
	x := &exam{host: healthyHost(), cfg: cfg}
	x.tailLog()
	x.judgeTail()
	if len(x.found) != 1 || !strings.Contains(x.found[0].What, "named pipe") {
		t.Errorf("%+v", x.found)
	}
}
