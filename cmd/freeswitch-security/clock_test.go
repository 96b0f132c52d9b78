package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

const clockRules = `
source "esl" "pbx" { address = %q }
source "log" "freeswitch" {
  path     = %q
  timezone = "UTC"
}
rule "guessing" {
  on    = [source.esl.pbx, source.log.freeswitch]
  match = "event == 'auth_failure'"
  threshold {
    count  = 5
    within = "10m"
  }
  ban { for = ["10m", "1h", "7d"] }
}
admin {
  listen = ""
  socket = %q
}
`

// TestWrongClocks: the clock of the switch is 20 minutes behind, and its log is of another zone. Two
// attackers are banned at the fifth failure, once and for ten minutes from now, and both clocks are
// reported.
func TestWrongClocks(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{Behind: 20 * time.Minute, Heartbeat: time.Second})
	dir := t.TempDir()
	log := filepath.Join(dir, "freeswitch.log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), fmt.Appendf(nil, clockRules, fake.Addr(), log, filepath.Join(dir, "s")), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	daemon := exec.CommandContext(ctx, os.Args[0])
	daemon.Args = []string{"freeswitch-security", "run", "--rules", dir, "--state", filepath.Join(dir, "state"), "--log-format", "json"}
	said, err := daemon.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	}()

	start := time.Now()
	bans := map[string]bool{}
	behind := map[string]string{"esl.pbx": "20m behind", "log.freeswitch": "2h behind"}
	for lines := bufio.NewScanner(said); (len(bans) < 2 || len(behind) > 0) && lines.Scan(); {
		t.Log(lines.Text())
		var m struct {
			Msg, Target, Source, Err string
			Offence                  int
			Until                    time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			continue // of the check of the rules
		}
		switch m.Msg {
		case "ready":
			if err := fake.Await(t.Context(), "event json"); err != nil {
				t.Fatal(err)
			}
			go guess(t, fake, file)
		case "ban":
			if left := m.Until.Sub(start); bans[m.Target] || m.Offence != 1 || left < 10*time.Minute-time.Second || left > 11*time.Minute {
				t.Error("not once for ten minutes")
			}
			bans[m.Target] = true
		case "extend", "expire":
			t.Error(m.Msg)
		case "source degraded":
			if strings.Contains(m.Err, behind[m.Source]) {
				delete(behind, m.Source)
			}
		}
	}
	if len(bans) < 2 || len(behind) > 0 {
		t.Errorf("bans %v, not told %v", bans, behind)
	}
}

// guess has one address fail on the event socket, and another in the log, twice a second.
func guess(t *testing.T, fake *esltest.Switch, log *os.File) {
	for range 20 {
		fake.Event("sofia::register_failure", map[string]string{"network-ip": "203.0.113.7", "network-port": "5060", "to-user": "1000", "registration-type": "REGISTER"}, "")
		fmt.Fprintf(log, "%s 97.10%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.8\n",
			time.Now().UTC().Add(-2*time.Hour).Format("2006-01-02 15:04:05.000000"))
		select {
		case <-time.After(250 * time.Millisecond):
		case <-t.Context().Done():
			return
		}
	}
}
