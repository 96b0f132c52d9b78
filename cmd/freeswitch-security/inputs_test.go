package main

import (
	"path/filepath"
	"testing"

	"freeswitch-security/engine"
)

// TestStreamsSideBySide replays what two connections to one event socket recorded, one
// its events and one its log records: what is decided is what would have been on one
// connection with both, whichever is named first and however often.
func TestStreamsSideBySide(t *testing.T) {
	events := "esl.pbx=" + filepath.Join(recordedAttack, "esl-json.raw.gz")
	log := "esl.pbx=" + filepath.Join(recordedAttack, "esl-log.raw.gz")
	both := replayed(t, nil, "--rules", shippedRules, events, log)
	for _, args := range [][]string{{log, events}, {log, events, log, events}} {
		if replayed(t, nil, append([]string{"--rules", shippedRules}, args...)...) != both {
			t.Errorf("%d files lead to other verdicts than the two", len(args))
		}
	}

	whole := recordingsIn(t, recordedAttack)[0]
	onOne := map[string]int{} // by when, whom and why
	for _, v := range play(t, whole.rulesFor(t, false), map[string][]byte{"esl.pbx": whole.socket(t)}) {
		if v.Kind == engine.Ban {
			onOne[utc(v.Time)+" "+v.Target.String()+" "+v.Rule]++
		}
	}
	for _, l := range parsed(t, both) {
		if l.Verdict == engine.Ban {
			onOne[l.Time+" "+l.Target+" "+l.Rule]--
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
