package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fmt"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl/esltest"
)

const accountRules = `
source "esl" "pbx" { address = %q }
action "accounts" "pbx" { source = source.esl.pbx }
trusted "dialers" { users = ["2001"] }
locals { fraud_bans = true }
rule "expensive destination" {
  on    = [source.esl.pbx]
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true'"
  threshold {
    per    = "user@domain"
    count  = 2
    within = "1h"
  }
  ban {
    target  = "user"
    enabled = local.fraud_bans
  }
  test "the second call" {
    given {
      event  = "call"
      user   = "1007"
      domain = "pbx"
      ip     = "203.0.113.7"
      fields = { variable_sip_authorized = "true" }
      times  = 2
    }
    bans = { "user:1007@PBX" = "1h" }
  }
}
`

// TestAccountVerbs: a rule bans a stolen account at the switch, and the verbs take it as any target.
func TestAccountVerbs(t *testing.T) {
	pbx := &callable{hungUp: make(chan string, 9)}
	pbx.Switch = esltest.Start(t, esltest.Options{API: func(command string) string {
		switch {
		case command == "show registrations as json":
			return `{"row_count":0}`
		case strings.HasPrefix(command, "uuid_dump"):
			return `{"Call-Direction":"inbound","Caller-Source":"mod_sofia","variable_sip_authorized":"true","variable_sip_auth_username":"1007","variable_sip_auth_realm":"pbx"}`
		case strings.HasPrefix(command, "sched_hangup"):
			command = "uuid_kill " + strings.Trim(strings.Fields(command)[2], "'")
		}
		return pbx.api(command)
	}})
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.d")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "a.hcl"), fmt.Appendf(nil, accountRules, pbx.Addr()), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(rules, kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	g := &guarded{t: t, socket: filepath.Join(dir, "admin.sock"), changes: make(chan ban.Change, 1000)}
	g.run(cfg)
	if err := pbx.Await(t.Context(), "event json"); err != nil {
		t.Fatal(err)
	}
	g.want(0, []string{"1 passed, 0 failed"}, "test", "--rules", rules)
	up := []string{pbx.call(1), pbx.call(2)}
	if c := g.decided(); c.Kind != ban.KindBan || c.Target != ban.Account("1007", "pbx") {
		t.Fatalf("%s %s: %s", c.Kind, c.Target, c.Text())
	}
	for range up {
		select {
		case <-pbx.hungUp:
		case <-time.After(20 * time.Second):
			t.Fatal("a call of a banned account stays up")
		}
	}
	g.want(0, []string{"1007@pbx  expensive destination  in 59m", "  1        -        2 in 1h"}, "list")
	g.want(0, []string{"target    1007@pbx", "in force  yes\n", "rule      expensive destination"}, "show", "user:1007@PBX")
	g.want(0, []string{`"packets":null`, `"applied":true`}, "list", "--json")
	g.want(0, []string{"1007@pbx  banned"}, "ban", "user:1007@PBX", "--for", "10m")
	g.want(0, []string{"reason    banned by rule expensive destination before: 2 in 1h"}, "show", "1007@pbx")
	exported := filepath.Join(dir, "bans.json")
	if err := os.WriteFile(exported, []byte(g.want(0, nil, "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	g.want(0, []string{"1007@pbx  unbanned"}, "unban", "1007@pbx")
	g.want(1, []string{"not banned"}, "show", "1007@pbx")
	g.want(0, []string{"1 of 1 banned"}, "import", exported)
	g.want(0, []string{"in force  yes\n"}, "show", "1007@pbx")
	g.want(0, []string{"1007@*  trusted"}, "trust", "1007@*")
	g.want(1, []string{"trusted: whitelist"}, "ban", "1007@pbx")
	g.want(1, []string{"trusted: dialers"}, "ban", "2001@other")
	g.want(0, []string{"1007@*  ", "2001@*  "}, "list", "--trusted")
	g.want(0, []string{"1007@* untrusted"}, "untrust", "1007@pbx")
	g.want(1, []string{"such as 1000@pbx.example"}, "ban", "@pbx")
}
