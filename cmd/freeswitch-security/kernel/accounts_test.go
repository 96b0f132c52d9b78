//go:build kernel

package kernel

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// onStolen bans an account at its first call, at the switch.
const onStolen = `
source "esl" "pbx" {
  address  = %q
  password = "` + eslPassword + `"
}
action "accounts" "pbx" { source = source.esl.pbx }
rule "stolen account" {
  on    = [source.esl.pbx]
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true'"
  ban {
    target = "user"
    for    = "1h"
  }
}
`

// TestAccountSurvivesKill bans two accounts, by a rule and by hand, and kills the daemon: the next one
// has the same bans in force, and trusts the same account.
func TestAccountSurvivesKill(t *testing.T) {
	var hungUp atomic.Int32
	pbx := esltest.Start(t, esltest.Options{Password: eslPassword, Heartbeat: 20 * time.Second, API: func(command string) string {
		if command == "show channels as json" {
			return `{"row_count":0}`
		}
		if len(command) > 12 && command[:12] == "sched_hangup" {
			hungUp.Add(1)
			return "+OK\n"
		}
		return lists(command)
	}})
	call := func(n int) {
		pbx.Event("CHANNEL_CREATE", map[string]string{
			"Unique-ID": fmt.Sprintf("0ea680a1-b96e-4bb6-9c1b-%012x", n), "Call-Direction": "inbound", "Channel-Name": "sofia/internal/1007@pbx", "Caller-Source": "mod_sofia",
			"Caller-Network-Addr": "203.0.113.7", "variable_sip_authorized": "true", "variable_sip_auth_username": "1007", "variable_sip_auth_realm": "pbx",
		}, "")
	}
	socket := adminSocket(t)
	d := prepare(t, ``, fmt.Sprintf(onSocket, socket)+fmt.Sprintf(onStolen, pbx.Addr())).start()
	subscribed(t, pbx)
	a := askingAt(t, socket)
	call(1)
	type entry struct {
		Rule      string
		Applied   bool
		ExpiresAt time.Time
		Evidence  []struct{ User string }
	}
	inForce := func(account string) (e entry) {
		t.Helper()
		eventually(t, 10*time.Second, account+" is banned", func() bool {
			status, _, err := a.ask("GET", "/security/blacklist/"+account, "")
			if err != nil || status != 200 {
				return false
			}
			a.does("GET", "/security/blacklist/"+account, "", &e)
			return e.Applied
		})
		return e
	}
	byRule := inForce("1007@pbx")
	var done change
	a.does("POST", "/security/blacklist", `{"ip": "user:1008@pbx", "ttl": "10m"}`, &done)
	if done.Target != "1008@pbx" || !done.Applied {
		t.Fatalf("%+v", done)
	}
	a.does("POST", "/security/whitelist", `{"ip": "2001@*"}`, &done)
	d.stop(syscall.SIGKILL)
	d.start()
	if e := inForce("1007@pbx"); e.Rule != "stolen account" || !e.ExpiresAt.Equal(byRule.ExpiresAt) || len(e.Evidence) != 1 || e.Evidence[0].User != "1007" {
		t.Errorf("after the kill: %+v, before %+v", e, byRule)
	}
	inForce("1008@pbx")
	before := hungUp.Load()
	call(2)
	eventually(t, 10*time.Second, "a call of a banned account ends", func() bool { return hungUp.Load() > before })
	if status, answer, err := a.ask("POST", "/security/blacklist", `{"ip": "2001@pbx"}`); err != nil || status != 409 {
		t.Errorf("trusted: %d %v %s", status, err, answer)
	}
	for _, account := range []string{"1007@pbx", "1008@pbx"} {
		a.does("DELETE", "/security/blacklist/"+account, "", &done)
		if len(done.Unbanned) != 1 || done.Unbanned[0] != account || !done.Applied {
			t.Errorf("%s: %+v", account, done)
		}
	}
}
