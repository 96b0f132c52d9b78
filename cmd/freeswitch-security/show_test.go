package main

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// TestEvidenceInGroups: what is alike is one line, and of many lines the last are shown.
func TestEvidenceInGroups(t *testing.T) {
	p := picture{Ban: &status.Ban{}}
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i, user := range []string{"1000", "1001", "1000", "1002", "1000"} {
		p.Ban.Evidence = append(p.Ban.Evidence, ban.Evidence{Time: at.Add(time.Duration(i) * time.Second), Event: "auth_failure", Source: "log.a", User: user, Text: "failure"})
	}
	for most, want := range map[int]string{
		2: `
Evidence, oldest first, without the 1 before (--evidence 0 shows all):
LAST (UTC)           TIMES  EVENT         SOURCE  IP  ACCOUNT  TEXT
2026-05-04 10:00:03  1      auth_failure  log.a       1002     failure
2026-05-04 10:00:04  3      auth_failure  log.a       1000     failure
`, 0: `
Evidence, oldest first:
LAST (UTC)           TIMES  EVENT         SOURCE  IP  ACCOUNT  TEXT
2026-05-04 10:00:00  1      auth_failure  log.a       1000     failure
2026-05-04 10:00:01  1      auth_failure  log.a       1001     failure
2026-05-04 10:00:02  1      auth_failure  log.a       1000     failure
2026-05-04 10:00:03  1      auth_failure  log.a       1002     failure
2026-05-04 10:00:04  1      auth_failure  log.a       1000     failure
`} {
		var out strings.Builder
		if err := p.printEvidence(&out, most); err != nil || out.String() != want {
			t.Errorf("%d: %v\n%s", most, err, out.String())
		}
	}
}

// TestVerdict: the first line of show says whether the target is banned, and a dry run never that a ban is in force.
func TestVerdict(t *testing.T) {
	now := time.Now()
	yes := true
	for _, dry := range []bool{false, true} {
		p := picture{Target: "203.0.113.7", dryRun: dry, Ban: &status.Ban{Applied: &yes, Ban: ban.Ban{Rule: "attack tool", Reason: "attack tool: x\x1b; call", Until: now.Add(time.Hour)}}}
		var out strings.Builder
		if err := p.print(&out, 80, 10, now); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "banned for another 1h", true: "would be banned for another 1h, in a dry run"}[dry]
		if !strings.HasPrefix(out.String(), "203.0.113.7: "+want+", by attack tool: attack tool: x\\x1b; call\n\n") || dry && strings.Contains(out.String(), "in force") {
			t.Errorf("dry %v:\n%s", dry, out.String())
		}
	}
}

// TestVerdictOfPeer: the first line names the node that decided.
func TestVerdictOfPeer(t *testing.T) {
	now := time.Now()
	for want, b := range map[string]ban.Ban{
		"banned permanently, by sbc2: guessing: 5 in 10m": {Author: "peer sbc2", Rule: "guessing", Reason: "5 in 10m"},
		"banned permanently, by sbc2":                     {Author: "peer sbc2"},
	} {
		if got := (&picture{Ban: &status.Ban{Ban: b}}).verdict(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestLostEvidence: show says which texts are no longer kept.
func TestLostEvidence(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	p := picture{Ban: &status.Ban{Ban: ban.Ban{Evidence: []ban.Evidence{
		{Time: at, Event: "auth_failure", Source: "log.a", Lost: true},
		{Time: at, Event: "auth_failure", Source: "log.a", Text: "SIP auth failure"},
	}}}}
	var out strings.Builder
	if err := p.printEvidence(&out, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(no longer kept)", "SIP auth failure"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, out.String())
		}
	}
}
