package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
)

// comparable compares two configurations without their positions.
var comparable = cmp.Options{
	cmpopts.IgnoreUnexported(config.Config{}),
	cmpopts.IgnoreFields(config.Source{}, "Range", "Description", "Fingerprint"),
	cmpopts.IgnoreFields(config.Action{}, "Fingerprint"),
	cmpopts.IgnoreFields(config.Test{}, "Where"),
	cmpopts.IgnoreFields(fakeLog{}, "Corroborate"),
	cmpopts.IgnoreFields(config.Given{}, "Where"),
	cmpopts.IgnoreFields(ban.Trusted{}, "Where"),
	cmpopts.IgnoreFields(rule.Spec{}, "Where"),
	cmp.Comparer(func(a, b ban.Target) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b *numbering.Plan) bool { return reflect.DeepEqual(a, b) }),
	cmp.Comparer(func(a, b *rule.Matcher) bool { return a == b || a != nil && b != nil && a.String() == b.String() }),
}

const everything = `
numbering {
  country = "DE"
  line    = ["0"]
  hours   = "Mon-Fri 07:00-19:00"
}
security {
  auto_block_enabled = false
  iptables_chain     = "SIP_GUARD"
  block_duration     = "2h"
  trusted_networks   = ["10.0.0.0/8", "2001:db8::1"]
  protect            = ["registered", "gateways"]
}
locals { office = "192.0.2.0/24" }
trusted "office" {
  networks = [local.office]
  comment  = "upstairs"
}
source "log" "freeswitch" { path = "/var/log/freeswitch.log" }
source "esl" "pbx" { password = env("ESL_PASSWORD", "ClueCon") }
action "iptables" "drop" { batch = 100 }
rule "everything" {
  on    = [source.log.freeswitch, source.esl.pbx]
  match = "event == 'auth_failure' and user != \"1000\""
  threshold {
    count    = 5
    within   = "10m"
    per      = ["ip/24,48", "domain"]
    distinct = "user"
    then     = "event == 'auth_success'"
  }
  ban {
    for     = ["10m", "2h", "permanent"]
    forget  = "7d"
    network = "24,48"
    all     = true
    actions = [action.iptables.drop]
  }
  alert {
    every   = "1h"
    actions = action.iptables.drop
  }
  brake {
    bans   = 50
    within = "1h"
  }
  test "t" {
    given {
      event  = "auth_failure"
      ip     = "203.0.113.7"
      port   = 5060
      user   = 1001
      answer = 403
      proven = true
      nonce_ip = "203.0.113.8"
      repeat = false
      fields = { session = "1" }
      times  = 5
      every  = "0s"
      at     = "5m"
      source = source.esl.pbx
    }
    given { line = "a line" }
    bans   = { "203.0.113.7" = "10m", "198.51.100.0/25" = "permanent" }
    alerts = ["203.0.113.7"]
  }
}
history {
  days    = 30
  numbers = "masked"
}
`

const everythingJSON = `{
  "//": "the same in JSON",
  "numbering": {"country": "DE", "line": ["0"], "hours": "Mon-Fri 07:00-19:00"},
  "history": {"days": 30, "numbers": "masked"},
  "security": {"auto_block_enabled": false, "iptables_chain": "SIP_GUARD", "block_duration": "2h",
    "trusted_networks": ["10.0.0.0/8", "2001:db8::1"], "protect": ["gateways", "registered"]},
  "locals": {"office": "192.0.2.0/24"},
  "trusted": {"office": {"networks": ["${local.office}"], "comment": "upstairs"}},
  "source": {"log": {"freeswitch": {"path": "/var/log/freeswitch.log"}},
    "esl": {"pbx": {"password": "${env(\"ESL_PASSWORD\", \"ClueCon\")}"}}},
  "action": {"iptables": {"drop": {"batch": 100}}},
  "rule": {"everything": {
    "on": ["source.log.freeswitch", "source.esl.pbx"],
    "match": "event == 'auth_failure' and user != \"1000\"",
    "threshold": {"count": 5, "within": "10m", "per": ["ip/24,48", "domain"], "distinct": "user",
      "then": "event == 'auth_success'"},
    "ban": {"for": ["10m", "2h", "permanent"], "forget": "7d", "network": "24,48", "all": true,
      "actions": ["action.iptables.drop"]},
    "alert": {"every": "1h", "actions": "action.iptables.drop"},
    "brake": {"bans": 50, "within": "1h"},
    "test": {"t": {
      "given": [
        {"event": "auth_failure", "ip": "203.0.113.7", "port": 5060, "user": 1001, "answer": 403,
          "proven": true, "nonce_ip": "203.0.113.8", "repeat": false,
          "fields": {"session": "1"}, "times": 5, "every": "0s", "at": "5m", "source": "source.esl.pbx"},
        {"line": "a line"}
      ],
      "bans": {"203.0.113.7": "10m", "198.51.100.0/25": "permanent"},
      "alerts": {"203.0.113.7": 1}
    }}
  }}
}`

func TestAllAttributes(t *testing.T) {
	cfg := mustLoad(t, map[string]string{"rules.d/a.hcl": everything}, nil)
	minutes := func(n int) ban.Term { return ban.Term(time.Duration(n) * time.Minute) }
	at := 5 * time.Minute
	network := rule.Network{V4: 24, V6: 48}
	hours, _ := numbering.ParseHours("Mon-Fri 07:00-19:00")
	plan, err := numbering.New(numbering.Site{Country: "DE", Line: []string{"0"}, Hours: hours})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Numbering: plan, Numbered: true, History: config.History{Days: 30, Masked: true},
		Security: config.Security{
			Chain: "SIP_GUARD", BlockDuration: minutes(120), Protect: config.Protect{Registered: true, Gateways: true}},
		Sources: []config.Source{
			{Ref: "log.freeswitch", Kind: "log", Name: "freeswitch", Source: &fakeLog{Path: "/var/log/freeswitch.log"}},
			{Ref: "esl.pbx", Kind: "esl", Name: "pbx", Source: &fakeESL{Password: "ClueCon"}},
		},
		Actions: []config.Action{
			{Ref: "iptables.drop", Kind: "iptables", Name: "drop", Action: &fakeIPTables{Chain: "SIP_GUARD", Batch: 100}, Claims: []string{"iptables chain SIP_GUARD"}},
		},
		Trusted: []ban.Trusted{
			{Target: ban.Network(netip.MustParsePrefix("10.0.0.0/8")), Name: "security.trusted_networks"},
			{Target: ban.Network(netip.MustParsePrefix("2001:db8::1/128")), Name: "security.trusted_networks"},
			{Target: ban.Network(netip.MustParsePrefix("192.0.2.0/24")), Name: "office", Comment: "upstairs"},
		},
		Rules: []*rule.Spec{{
			Name:  "everything",
			On:    []string{"log.freeswitch", "esl.pbx"},
			Match: cfg.Rules[0].Match,
			Threshold: &rule.Threshold{Count: 5, Within: 10 * time.Minute,
				Per: rule.Key{{Field: "ip", Network: network}, {Field: "domain"}}, Distinct: "user", Then: cfg.Rules[0].Threshold.Then},
			Ban: &rule.Ban{Terms: []ban.Term{minutes(10), minutes(120), ban.Permanent}, Forget: 7 * 24 * time.Hour,
				Network: network, All: true, Actions: []string{"iptables.drop"}},
			Alert: &rule.Alert{Actions: []string{"iptables.drop"}, Every: time.Hour},
			Brake: &rule.Brake{Bans: 50, Within: time.Hour},
		}},
		Tests: []config.Test{{
			Rule: "everything", Name: "t",
			Given: []config.Given{
				{Source: "esl.pbx", Times: 5, At: &at, Event: &event.Event{
					Name: "auth_failure", Source: "esl.pbx", IP: netip.MustParseAddr("203.0.113.7"), Port: 5060,
					User: "1001", Answer: 403, Proven: true, NonceIP: netip.MustParseAddr("203.0.113.8"), Fields: map[string]string{"session": "1"}}},
				{Source: "log.freeswitch", Line: "a line", Times: 1, Every: time.Second},
			},
			Bans: map[ban.Target]ban.Term{
				ban.Network(netip.MustParsePrefix("203.0.113.0/24")):  minutes(10),
				ban.Network(netip.MustParsePrefix("198.51.100.0/25")): ban.Permanent,
			},
			Alerts: map[ban.Target]int{ban.Network(netip.MustParsePrefix("203.0.113.7/32")): 1},
		}},
	}
	if diff := cmp.Diff(want, cfg, comparable); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := cfg.Rules[0].Match.String(); got != `event == 'auth_failure' and user != "1000"` {
		t.Errorf("match is %s", got)
	}
	if got := cfg.Rules[0].Threshold.Then.String(); got != `event == 'auth_success'` {
		t.Errorf("then is %s", got)
	}
	if got := cfg.Rules[0].Where; got != "rules.d/a.hcl:22" {
		t.Errorf("the rule is at %s", got)
	}
	if got := cfg.Trusted[1].Where; got != "rules.d/a.hcl:11" {
		t.Errorf("the trusted network is at %s", got)
	}
}

// TestEmergencyNumbersReplaceActions has a reload replace actions whose emergency numbers differ, and no others.
func TestEmergencyNumbersReplaceActions(t *testing.T) {
	print := func(block string) settings.Fingerprint {
		return mustLoad(t, map[string]string{"rules.d/a.hcl": ruleWith("match = \"event == 'auth_failure'\"\nban {}") + block}, nil).Actions[0].Fingerprint
	}
	country := print(`numbering { country = "DE" }`)
	if country != print(`numbering {
  country  = "DE"
  hours    = "Mon 07:00-08:00"
  trunk    = ["0"]
  timezone = "UTC"
}`) {
		t.Error("hours, or a trunk prefix, replace an action")
	}
	for _, block := range []string{"", `numbering { country = "FR" }`, "numbering {\n country = \"DE\"\n emergency = [\"116117\"]\n}", "numbering {\n country = \"DE\"\n line = []\n}"} {
		if country == print(block) {
			t.Errorf("%q: the action keeps the emergency numbers of Germany", block)
		}
	}
}

func TestJSONEqualsHCL(t *testing.T) {
	native := mustLoad(t, map[string]string{"rules.d/a.hcl": everything}, nil)
	inJSON := mustLoad(t, map[string]string{"rules.d/a.json": everythingJSON}, nil)
	if diff := cmp.Diff(native, inJSON, comparable); diff != "" {
		t.Errorf("-HCL +JSON:\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, map[string]string{"rules.d/a.hcl": ruleWith(`
  match = "event == 'call'"
  ban { for = ["10m", "10m"] }
  alert {}
  threshold {
    count  = 2
    within = "1m"
  }`) + `
rule "slow" {
  on    = source.log.freeswitch
  match = "true"
  alert {}
  threshold {
    count  = 2
    within = "1h"
  }
}
rule "each" {
  on    = source.log.freeswitch
  match = "true"
  alert {}
}
rule "every" {
  on    = source.log.freeswitch
  match = "true"
  alert { every = "0s" }
  threshold {
    count  = 2
    within = "1h"
  }
}
rule "plain" {
  on    = source.log.freeswitch
  match = "true"
  ban {}
}`}, nil)
	if want := (config.Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}); !cmp.Equal(cfg.Security, want) {
		t.Errorf("security %+v, want %+v", cfg.Security, want)
	}
	if cfg.Trusted != nil {
		t.Errorf("trusted without being written: %v", cfg.Trusted)
	}
	first, plain := cfg.Rules[0], cfg.Rules[len(cfg.Rules)-1]
	for i, every := range []time.Duration{10 * time.Minute, time.Hour, 0, 0} {
		if r := cfg.Rules[i]; r.Alert.Every != every {
			t.Errorf("rule %q alerts every %s, want %s", r.Name, r.Alert.Every, every)
		}
	}
	if diff := cmp.Diff(rule.Key{{Field: "ip", Network: rule.Host}}, first.Threshold.Per); diff != "" {
		t.Errorf("default key: %s", diff)
	}
	if first.Ban.Forget != 30*24*time.Hour || plain.Ban.Forget != 0 {
		t.Errorf("forget is %v with two steps and %v with one", first.Ban.Forget, plain.Ban.Forget)
	}
	want := &rule.Ban{Terms: []ban.Term{ban.Term(time.Hour)}, Network: rule.Host}
	if diff := cmp.Diff(want, plain.Ban); diff != "" {
		t.Errorf("an empty ban block: %s", diff)
	}
	if plain.Threshold != nil || plain.Alert != nil || plain.Brake != nil || first.Alert.Actions != nil {
		t.Errorf("parts that were not written: %+v", plain)
	}
}

func TestEnvironmentOverridesFiles(t *testing.T) {
	cfg := mustLoad(t, map[string]string{
		"rules.d/a.hcl": site + `
security {
  auto_block_enabled = true
  block_duration     = "1h"
  trusted_networks   = ["10.0.0.0/8"]
}
trusted "office" { networks = "192.0.2.1" }`,
		"config.json": `{"security": {"iptables_chain": "IN_FILE"}}`,
	}, map[string]string{
		"SECURITY_AUTO_BLOCK":       "Off",
		"SECURITY_IPTABLES_CHAIN":   "FROM_ENV",
		"SECURITY_BLOCK_DURATION":   "permanent",
		"SECURITY_TRUSTED_NETWORKS": "198.51.100.0/24, 2001:db8::/32,",
	})
	if want := (config.Security{Chain: "FROM_ENV", BlockDuration: ban.Permanent}); !cmp.Equal(cfg.Security, want) {
		t.Errorf("security %+v, want %+v", cfg.Security, want)
	}
	variable := "environment variable SECURITY_TRUSTED_NETWORKS"
	want := []ban.Trusted{
		{Target: ban.Network(netip.MustParsePrefix("198.51.100.0/24")), Name: "security.trusted_networks", Where: variable},
		{Target: ban.Network(netip.MustParsePrefix("2001:db8::/32")), Name: "security.trusted_networks", Where: variable},
		{Target: ban.Network(netip.MustParsePrefix("192.0.2.1/32")), Name: "office", Where: "rules.d/a.hcl:11"},
	}
	if diff := cmp.Diff(want, cfg.Trusted, cmp.Comparer(func(a, b ban.Target) bool { return a == b })); diff != "" {
		t.Errorf("trusted, -want +got:\n%s", diff)
	}
	if got := cfg.Actions[0].Action.(*fakeIPTables).Chain; got != "FROM_ENV" {
		t.Errorf("the action was told of chain %s", got)
	}
}

func TestEmptyVariablesAreNotSet(t *testing.T) {
	cfg := mustLoad(t, map[string]string{"rules.d/a.hcl": site}, map[string]string{
		"SECURITY_AUTO_BLOCK": "", "SECURITY_IPTABLES_CHAIN": "", "SECURITY_BLOCK_DURATION": "", "SECURITY_TRUSTED_NETWORKS": "",
	})
	if want := (config.Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}); !cmp.Equal(cfg.Security, want) {
		t.Errorf("security %+v, want %+v", cfg.Security, want)
	}
}

func TestLocalsInAnyOrder(t *testing.T) {
	cfg := mustLoad(t, map[string]string{
		"rules.d/a.hcl": `
locals {
  all  = concat(local.nets, [local.more["host"]])
  more = { host = trimspace(file("host.txt")) }
}
trusted "x" { networks = local.all }
source "log" "freeswitch" { path = "${local.folder}/freeswitch.log" }`,
		"rules.d/b.json": `{"locals": {"nets": ["10.0.0.0/8"], "folder": "${lower(env(\"FOLDER\"))}"}}`,
		"rules.d/c.hcl": `
trusted "y" {
  networks = "192.0.2.9"
  comment  = format("%s, %s", upper(join("-", ["a", "b"])), file("/etc/comment"))
}`,
		"rules.d/host.txt": " 192.0.2.7 \r\n",
		"etc/comment":      "line one\nline two\n",
	}, map[string]string{"FOLDER": "/VAR/LOG"})
	var got []string
	for _, trusted := range cfg.Trusted {
		got = append(got, fmt.Sprint(trusted.Target, " ", trusted.Comment))
	}
	want := []string{"10.0.0.0/8 ", "192.0.2.7 ", "192.0.2.9 A-B, line one\nline two"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trusted, -want +got:\n%s", diff)
	}
	if got := cfg.Sources[0].Source.(*fakeLog).Path; got != "/var/log/freeswitch.log" {
		t.Errorf("path is %s", got)
	}
}

func TestIncludedPathsAreRelativeToTheirFile(t *testing.T) {
	cfg := mustLoad(t, map[string]string{
		"config.json":       `{"trusted": {"beside": {"networks": "${file(\"net.txt\")}"}}}`,
		"net.txt":           "192.0.2.1",
		"rules.d/a.hcl":     `trusted "in" { networks = file("net.txt") }`,
		"rules.d/net.txt":   "192.0.2.2",
		"rules.d/.auto.hcl": "an editor's draft",
		"rules.d/notes.md":  "no rule file",
	}, nil)
	if len(cfg.Trusted) != 2 || cfg.Trusted[0].Target.String() != "192.0.2.2" || cfg.Trusted[1].Target.String() != "192.0.2.1" {
		t.Errorf("trusted %v", cfg.Trusted)
	}
}

func TestExpectedTargetIsWidened(t *testing.T) {
	for network, want := range map[string]string{
		"":                    "203.0.113.7/32 2001:db8::/64",
		`network = "24,48"`:   "203.0.113.0/24 2001:db8::/48",
		`network = 24`:        "203.0.113.0/24 2001:db8::1/128", // IPv6 is left out
		`network = "32,128"`:  "203.0.113.7/32 2001:db8::1/128",
		"network = \"16,12\"": "203.0.0.0/16 2000::/12",
	} {
		cfg := mustLoad(t, map[string]string{"rules.d/a.hcl": ruleWith(`
  match = "true"
  ban {
    ` + network + `
  }
  test "t" {
    given { event = "call" }
    bans = { "::ffff:203.0.113.7" = "1h", "2001:DB8:0::1" = "1h" }
  }`)}, nil)
		for _, target := range strings.Fields(want) {
			if _, ok := cfg.Tests[0].Bans[ban.Network(netip.MustParsePrefix(target))]; !ok {
				t.Errorf("%s: %s is not among %v", network, target, cfg.Tests[0].Bans)
			}
		}
	}
}

func TestLoadFromDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules.d")
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*config.Config, hcl.Diagnostics) {
		cfg, diags, _ := config.Load(dir, kinds, nil)
		return cfg, diags
	}
	if _, diags := load(); len(diags) != 1 || diags[0].Subject.Filename != dir {
		t.Errorf("a missing directory: %v", diags)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, diags := load(); len(diags) != 1 || diags[0].Summary != "No rule files" {
		t.Errorf("an empty directory: %v", diags)
	}
	write("a.hcl", `trusted "a" { networks = file("net.txt") }`)
	write("net.txt", "192.0.2.1\n")
	write("../config.json", `{"trusted": {"b": {"networks": "192.0.2.2"}}}`)
	cfg, diags := load()
	if diags.HasErrors() || len(cfg.Trusted) != 2 {
		t.Fatalf("%v", diags)
	}
	if want := filepath.Join(dir, "a.hcl") + ":1"; cfg.Trusted[0].Where != want {
		t.Errorf("the first stands at %s, want %s", cfg.Trusted[0].Where, want)
	}
	if want := filepath.Join(dir, "..", "config.json") + ":1"; cfg.Trusted[1].Where != want {
		t.Errorf("the second stands at %s, want %s", cfg.Trusted[1].Where, want)
	}
	// To open a named pipe without a writer would block forever.
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.hcl"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, diags := load(); len(diags) != 1 || diags[0].Summary != "Unreadable file" {
		t.Errorf("a named pipe: %v", diags)
	}
}

func TestFormat(t *testing.T) {
	got, diags := config.Format("a.hcl", []byte("rule \"r\" {\non=[source.log.a]\n  match   = \"true\" # why\nban{}\n}\n"))
	const want = "rule \"r\" {\n  on    = [source.log.a]\n  match = \"true\" # why\n  ban {}\n}\n"
	if diags.HasErrors() || string(got) != want {
		t.Errorf("formatted as\n%swith %v", got, diags)
	}
	got, diags = config.Format("a.hcl", []byte("rule {"))
	if got != nil || !diags.HasErrors() || diags[0].Subject.Filename != "a.hcl" {
		t.Errorf("a file that does not parse: %q, %v", got, diags)
	}
}

// TestDistinctNetworks counts networks within larger ones, and refuses to within as small ones.
func TestDistinctNetworks(t *testing.T) {
	for per, right := range map[string]bool{"ip": false, "ip/24": false, "ip/24,48": false, "ip/28,48": false, "ip/16": true, "ip/16,48": true, "user": true} {
		_, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.hcl": ruleWith(`
  match = "event == 'auth_failure'"
  threshold {
    count    = 3
    within   = "1m"
    per      = "` + per + `"
    distinct = "ip/24,48"
  }
  ban {}
`)}), "rules.d", kinds, environment(nil))
		if diags.HasErrors() == right {
			t.Errorf("per = %q: %v", per, diags)
		}
	}
}
