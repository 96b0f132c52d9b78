package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// recordedParts are the files of the recorded log, oldest first.
func recordedParts() []string {
	return []string{
		filepath.Join(recordedAttack, "security.log.2.gz"),
		filepath.Join(recordedAttack, "security.log.1.gz"),
		filepath.Join(recordedAttack, "security.log.gz"),
	}
}

// onSight bans at the first event that can count against an address.
const onSight = `
security { trusted_networks = [] }
source "log" "freeswitch" {}
rule "on sight" {
  on    = [source.log.freeswitch]
  match = "event not in ['challenge', 'registered', 'unregistered', 'call', 'auth_success']"
  ban { for = "permanent" }
}
`

// TestFramed replays lines that attackers forged to have innocent addresses banned. In a log that is
// configured as documented no forgery counts: even a rule that bans at the first event bans none of
// them. In the debug log some forged lines are identical to true ones: there the thresholds protect.
func TestFramed(t *testing.T) {
	first := filepath.Dir(write(t, "rules.hcl", []byte(onSight)))
	known := recordingsIn(t, recordedAttack)[0].truth
	for _, test := range []struct {
		name, rules string
		paths       []string
	}{
		{"log injection", shippedRules, []string{"testdata/forged/log_injection.log.gz"}},
		{"SIP trace", shippedRules, []string{"testdata/forged/sip_trace.log.gz"}},
		{"the whole attack", first, recordedParts()},
	} {
		t.Run(test.name, func(t *testing.T) {
			output := replayed(t, nil, append([]string{"--rules", test.rules, "--source", "log.freeswitch"}, test.paths...)...)
			for _, l := range parsed(t, output) {
				for _, ip := range known.Framed {
					if l.InForce() && covers(&l, ip.String()) {
						t.Errorf("%s was framed: %s", ip, l.Evidence[len(l.Evidence)-1].Text)
					}
				}
			}
			if !strings.Contains(output, `"kind":"ban"`) {
				t.Error("no address is banned")
			}
		})
	}
}
