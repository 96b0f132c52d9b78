package main

import (
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
					if l.Verdict == engine.Ban && l.covers(t, ip.String()) {
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
