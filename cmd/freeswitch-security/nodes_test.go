package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failuresAt writes a log with failed registrations of an address, one every 20 seconds.
func failuresAt(t *testing.T, name, ip string, first time.Time, n int) string {
	var b strings.Builder
	for i := range n {
		at := first.Add(time.Duration(i) * 20 * time.Second).Format("2006-01-02 15:04:05.000000")
		fmt.Fprintf(&b, "%s 20.03%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip %s\n", at, ip)
	}
	return write(t, name, []byte(b.String()))
}

// TestReplayOfNodes replays the logs of three switches. Together they have five failures of one address.
func TestReplayOfNodes(t *testing.T) {
	first := time.Date(2026, 11, 22, 22, 14, 0, 0, time.UTC)
	var args []string
	for i, n := range []int{2, 2, 1} {
		node := fmt.Sprint("sbc", i+1)
		args = append(args, node+"="+failuresAt(t, node+".log", "203.0.113.45", first.Add(time.Duration(i)*time.Minute), n))
	}
	changes := parsed(t, replayed(t, nil, append([]string{"--rules", shippedRules}, args...)...))
	if len(changes) != 1 || changes[0].Target.String() != "203.0.113.45" || changes[0].Rule != "password guessing" {
		t.Fatalf("changes: %+v", changes)
	}
	var sources []string
	for _, e := range changes[0].Evidence {
		node, source, _ := strings.Cut(e.Source, "/")
		if source != "log.freeswitch" {
			t.Errorf("evidence of %q", e.Source)
		}
		sources = append(sources, node)
	}
	if got := strings.Join(sources, " "); got != "sbc1 sbc1 sbc2 sbc2 sbc3" {
		t.Errorf("evidence of the nodes %s", got)
	}

	stdout, _, _ := command(t, nil, append([]string{"replay", "--rules", shippedRules}, args...)...)
	if !strings.Contains(stdout, "sbc1, sbc2, sbc3") {
		t.Errorf("the nodes are not named:\n%s", stdout)
	}
	if changes := parsed(t, replayed(t, nil, append([]string{"--rules", shippedRules}, args[:2]...)...)); len(changes) != 0 {
		t.Errorf("four failures: %+v", changes)
	}
}

// TestNodesAndSources names a node, a source and a file at once; one name alone is no node.
func TestNodesAndSources(t *testing.T) {
	log := failuresAt(t, "a=b.log", "203.0.113.45", time.Date(2026, 11, 22, 22, 14, 0, 0, time.UTC), 3)
	other := filepath.Join(filepath.Dir(log), "a=b.log")
	changes := parsed(t, replayed(t, nil, "--rules", shippedRules, "sbc1=log.freeswitch="+log, "sbc2=freeswitch="+other))
	if len(changes) != 1 || changes[0].Rule != "password guessing" {
		t.Fatalf("changes: %+v", changes)
	}
	_, stderr, status := command(t, nil, "replay", "--rules", shippedRules, "wrie="+log)
	if status != exitTrouble || !strings.Contains(stderr, `there is no source "wrie"`) {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}
