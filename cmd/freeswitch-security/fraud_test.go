package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
)

const fraudRules = `
source "esl" "pbx" { address = %q }
action "esl" "fraud" {
  source = source.esl.pbx
  hangup = "user"
}
action "webhook" "noc" { url = %q }
rule "expensive destination" {
  on    = [source.esl.pbx]
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true'"
  threshold {
    per    = "user@domain"
    count  = 3
    within = "1h"
  }
  alert { actions = [action.esl.fraud, action.webhook.noc] }
}
`

// A callable is a switch with calls, which it lists and hangs up.
type callable struct {
	*esltest.Switch
	mu     sync.Mutex
	calls  []esl.Channel
	hungUp chan string // UUIDs
}

func (c *callable) api(command string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if command == "show channels as json" {
		text, _ := json.Marshal(map[string]any{"row_count": len(c.calls), "rows": c.calls})
		return string(text)
	}
	uuid, isKill := strings.CutPrefix(strings.TrimSuffix(command, " CALL_REJECTED"), "uuid_kill ")
	i := slices.IndexFunc(c.calls, func(one esl.Channel) bool { return one.UUID == uuid })
	if !isKill || i < 0 {
		return "-ERR No such channel!\n"
	}
	c.calls = slices.Delete(c.calls, i, i+1)
	c.hungUp <- uuid
	return "+OK\n"
}

// call has a stolen account call, and returns the UUID of the call.
func (c *callable) call(n int) string {
	uuid := fmt.Sprintf("0ea680a1-b96e-4bb6-9c1b-%012x", n)
	c.mu.Lock()
	c.calls = append(c.calls, esl.Channel{UUID: uuid, Direction: "inbound", IP: "203.0.113.7", PresenceID: "1007@pbx"})
	c.mu.Unlock()
	c.Event("CHANNEL_CREATE", map[string]string{
		"Call-Direction": "inbound", "Channel-Name": "sofia/internal/1007@pbx", "Caller-Network-Addr": "203.0.113.7", "variable_sip_authorized": "true",
		"variable_sip_auth_username": "1007", "variable_sip_auth_realm": "pbx", "Caller-Destination-Number": fmt.Sprint("0088216123", n),
	}, "")
	return uuid
}

// TestEveryCallOfAStolenAccountEnds: from the third call on each is hung up, while the alert is
// told once an hour.
func TestEveryCallOfAStolenAccountEnds(t *testing.T) {
	told := make(chan string, 9)
	noc := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Notifications []ban.Change }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		for _, c := range m.Notifications {
			told <- c.Reason
		}
	}))
	defer noc.Close()
	pbx := &callable{hungUp: make(chan string, 9)}
	pbx.Switch = esltest.Start(t, esltest.Options{API: pbx.api})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), fmt.Appendf(nil, fraudRules, pbx.Addr(), noc.URL), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	logged := make(chan string, 9)
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) { logged <- c.Reason }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	if err := pbx.Await(t.Context(), "event json"); err != nil {
		t.Fatal(err)
	}
	var up []string // in the order of the calls
	for n := range 6 {
		up = append(up, pbx.call(n+1))
		if n < 2 {
			continue
		}
		for _, uuid := range up {
			select {
			case got := <-pbx.hungUp:
				if got != uuid {
					t.Fatalf("%s was hung up, not %s", got, uuid)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("call %d stays up: %s", n+1, uuid)
			}
		}
		up = nil
	}
	const want = "3 in 1h, per user@domain 1007@pbx"
	if got := <-told; got != want {
		t.Errorf("notified of %q", got)
	}
	status, err := e.Status(t.Context())
	if rule := status.Rules[0]; err != nil || rule.Firings != 4 || rule.Held != 3 || status.Stats.Tallies[0].Alerts != 1 {
		t.Errorf("firings %d, held %d, %+v", rule.Firings, rule.Held, status.Stats.Tallies)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-logged; got != want || len(logged)+len(told) > 0 {
		t.Errorf("told %q, then %d changes and %d notifications", got, len(logged), len(told))
	}
}
