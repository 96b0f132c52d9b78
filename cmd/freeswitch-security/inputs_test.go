package main

import (
	"path/filepath"
	"testing"

	"freeswitch-security/engine/ban"
)

// TestStreamsSideBySide replays two recordings of one event socket, one of events and one of log
// records: the result is that of one connection with both, in any order, and with duplicates.
func TestStreamsSideBySide(t *testing.T) {
	events := "esl.pbx=" + filepath.Join(recordedAttack, "esl-json.raw.gz")
	log := "esl.pbx=" + filepath.Join(recordedAttack, "esl-log.raw.gz")
	both := replayed(t, nil, "--rules", shippedRules, events, log)
	for _, args := range [][]string{{log, events}, {log, events, log, events}} {
		if replayed(t, nil, append([]string{"--rules", shippedRules}, args...)...) != both {
			t.Errorf("%d files lead to another result than the two", len(args))
		}
	}

	whole := recordingsIn(t, recordedAttack)[0]
	onOne := map[string]int{} // by time, target and rule
	for _, v := range play(t, whole.rulesFor(t, false), map[string][]byte{"esl.pbx": whole.socket(t)}) {
		if v.InForce() {
			onOne[v.At.String()+" "+v.Target.String()+" "+v.Rule]++
		}
	}
	for _, l := range parsed(t, both) {
		if l.InForce() && l.Target.Kind() != ban.TargetEndpoint { // as in play
			onOne[l.At.String()+" "+l.Target.String()+" "+l.Rule]--
		}
	}
	if len(onOne) < 100 {
		t.Errorf("only %d bans", len(onOne))
	}
	for what, n := range onOne {
		if n != 0 {
			t.Errorf("%s: %+d on one connection", what, n)
		}
	}
}
