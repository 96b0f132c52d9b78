package main

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// TestLostEvidence: show says which texts are no longer kept.
func TestLostEvidence(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	p := picture{Ban: &status.Ban{Ban: ban.Ban{Evidence: []ban.Evidence{
		{Time: at, Event: "auth_failure", Source: "log.a", Lost: true},
		{Time: at, Event: "auth_failure", Source: "log.a", Text: "SIP auth failure"},
	}}}}
	var out strings.Builder
	if err := p.printEvidence(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(no longer kept)", "SIP auth failure"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, out.String())
		}
	}
}
