package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine"
)

// recordedParts are the parts of the recorded log, oldest first.
func recordedParts() []string {
	return []string{
		filepath.Join(recordedAttack, "security.log.2.gz"),
		filepath.Join(recordedAttack, "security.log.1.gz"),
		filepath.Join(recordedAttack, "security.log.gz"),
	}
}

// A truth is what is known of a recording from those who attacked, not from the
// log.
type truth struct {
	NeverBlock   []string          `json:"never_block"`
	Framed       []string          `json:"framed"`        // of those: whose addresses attackers wrote into their packets
	FifthFailure map[string]string `json:"fifth_failure"` // of each attacker: when he failed for the fifth time in ten minutes
}

func recordedTruth(t testing.TB) truth {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(recordedAttack, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var known truth
	if err := json.Unmarshal(content, &known); err != nil {
		t.Fatal(err)
	}
	return known
}

// TestRecordedAttack holds the shipped rules against a recorded attack: they ban
// every attacker at his fifth failure at the latest, and nobody else.
func TestRecordedAttack(t *testing.T) {
	known := recordedTruth(t)
	args := append([]string{"--rules", shippedRules}, recordedParts()...)
	lines := parsed(t, replayed(t, nil, args...))
	banned := func(ip string) (at string) {
		for _, l := range lines {
			if l.Verdict == engine.Ban && l.covers(t, ip) {
				return l.Time
			}
		}
		return ""
	}
	for _, ip := range known.NeverBlock {
		if at := banned(ip); at != "" {
			t.Errorf("%s was banned at %s and must never be", ip, at)
		}
	}
	if len(known.FifthFailure) < 40 {
		t.Errorf("%d attackers, want the 40 of the recording", len(known.FifthFailure))
	}
	for ip, fifth := range known.FifthFailure {
		switch at := banned(ip); {
		case at == "":
			t.Errorf("%s was not banned", ip)
		case at > fifth: // both in UTC, in the same form
			t.Errorf("%s was banned at %s, after its fifth failure at %s", ip, at, fifth)
		}
	}
}

// onSight bans at the first thing that is held against anybody.
const onSight = `
security { trusted_networks = [] }
source "log" "freeswitch" {}
rule "on sight" {
  on    = [source.log.freeswitch]
  match = "event not in ['challenge', 'registered', 'unregistered', 'call', 'auth_success']"
  ban { for = "permanent" }
}
`

// TestFramed plays what attackers wrote to have others banned. Those whose
// addresses they wrote did nothing. From a log as we advise to set it up, not one
// of the forgeries counts, so that even a rule which bans at the first offence
// leaves them alone. Into the debug log a caller can write whole lines, some of
// which nothing tells from FreeSWITCH's own: there the thresholds must do.
func TestFramed(t *testing.T) {
	first := filepath.Dir(write(t, "rules.hcl", []byte(onSight)))
	known := recordedTruth(t)
	for _, test := range []struct {
		name, rules string
		paths       []string
	}{
		{"log injection", shippedRules, []string{"testdata/forged/log_injection.log.gz"}},
		{"SIP trace", shippedRules, []string{"testdata/forged/sip_trace.log.gz"}},
		{"the whole attack", first, recordedParts()},
	} {
		t.Run(test.name, func(t *testing.T) {
			output := replayed(t, nil, append([]string{"--rules", test.rules}, test.paths...)...)
			for _, l := range parsed(t, output) {
				for _, ip := range known.Framed {
					if l.Verdict == engine.Ban && l.covers(t, ip) {
						t.Errorf("%s was framed: %s", ip, l.Evidence[len(l.Evidence)-1].Text)
					}
				}
			}
			if !strings.Contains(output, `"verdict":"ban"`) {
				t.Error("nobody was banned at all")
			}
		})
	}
}
