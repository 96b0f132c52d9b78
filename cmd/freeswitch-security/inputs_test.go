package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// TestRulesOfOthers: root does not use a directory of rules that others could have put there.
func TestRulesOfOthers(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.d")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if err := onlyRoots(rules); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("others may write in %s (owner %d", rules, os.Geteuid())) {
			t.Errorf("a directory of this user: %v", err)
		}
		return
	}
	if err := onlyRoots(rules); err != nil {
		t.Errorf("root's own: %v", err)
	}
	for _, writable := range []string{dir, rules} {
		if err := os.Chmod(writable, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := onlyRoots(rules); err == nil || !strings.Contains(err.Error(), "others may write in "+writable+" ") {
			t.Errorf("%s for all: %v", writable, err)
		}
		if err := os.Chmod(writable, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, 1000, 0); err != nil {
		t.Fatal(err)
	}
	if err := onlyRoots(rules); err == nil || !strings.Contains(err.Error(), "(owner 1000, mode ") {
		t.Errorf("in a directory of another: %v", err)
	}
	if err := os.WriteFile(filepath.Join(rules, "a.hcl"), []byte("admin {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, verb := range []string{"withdraw", "check"} {
		if _, stderr, status := command(t, nil, verb); status != 2 || !strings.Contains(stderr, "./rules.d is not used as root") {
			t.Errorf("%s: status %d: %s", verb, status, stderr)
		}
	}
}
