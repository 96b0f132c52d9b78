package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/status"
)

// TestLag: a source that is too far behind is a problem beside those that the daemon
// reports, and the worst problems come first.
func TestLag(t *testing.T) {
	limits := thresholds{10 * time.Second, time.Minute}
	reported := status.Problem{Severity: status.Warning, Subject: "state", Text: "not saved: disk full"}
	for _, c := range []struct {
		source status.Source
		want   string
	}{
		{status.Source{Lag: 9}, "[state: not saved: disk full]"},
		{status.Source{Lag: 10}, "[state: not saved: disk full source log.a: 10s behind]"},
		{status.Source{Lag: 61}, "[source log.a: 1m1s behind state: not saved: disk full]"},
		{status.Source{Lag: 61, Fault: "no such file"}, "[state: not saved: disk full]"}, // the fault is reported
	} {
		c.source.Name = "log.a"
		h := &health{Status: status.Status{Problems: []status.Problem{reported}, Sources: []status.Source{c.source}}}
		if got := fmt.Sprint(h.problems(limits)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.source, got, c.want)
		}
	}
}

// TestKernelUnread: numbers that could not be read are unknown, not 0.
func TestKernelUnread(t *testing.T) {
	g := guard(t)
	g.want(0, nil, "ban", "203.0.113.7")
	g.want(0, []string{"1 ban in chain WALL"}, "status")
	g.wall.hides(errors.New("list table filter: exit status 4"))
	g.settle()
	g.want(1, []string{"! action wall.drop: list table filter: exit status 4", "kernel wall.drop       not known"}, "status")
	g.want(0, []string{"not known to be in force  1        not known"}, "list", "--sort", "packets")
	g.want(0, []string{"not known: the kernel or the switch could not be read"}, "show", "203.0.113.7")
	if shown, _, _ := g.piped(g.want(0, nil, "export"), "import", "-"); !strings.Contains(shown, "1 of 1 banned") || !strings.Contains(shown, "the kernel could not be read") {
		t.Errorf("import: %s", shown)
	}
}

// TestUnreadableLog: the status of a log of another program is a warning, and a notice is none.
func TestUnreadableLog(t *testing.T) {
	g := guard(t)
	g.write(strings.Repeat("Nov 28 10:00:00 pbx1 sshd[812]: Failed password for root from 203.0.113.7 port 4022 ssh2\n", 20))
	const text = "! source log.freeswitch: no line of the log has FreeSWITCH's header"
	deadline := time.After(10 * time.Second)
	for shown := ""; !strings.Contains(shown, text); shown, _ = g.do("status") {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal(shown)
		}
	}
	g.want(1, []string{": warning", text}, "status")
	g.want(1, []string{"FREESWITCH-SECURITY WARNING - source log.freeswitch: no line of the log"}, "status", "--nagios")
	h := &health{Status: status.Status{Problems: []status.Problem{{Severity: status.Info, Subject: "source esl.pbx", Text: "look up gateway"}}}}
	var out bytes.Buffer
	if err := (&app{stdout: &out}).nagios(*h, thresholds{time.Minute, time.Hour}, nil); err != nil || !strings.HasPrefix(out.String(), "FREESWITCH-SECURITY OK") {
		t.Errorf("a notice is a problem: %v %s", err, out.String())
	}
}

// TestDryRunIsNotInForce: the bans of a dry run are decided, and not in force.
func TestDryRunIsNotInForce(t *testing.T) {
	for dry, want := range map[bool]string{false: "bans  1 in force, ", true: "bans  would have banned 1, the last one "} {
		h := &health{Status: status.Status{DryRun: dry, Actions: []status.Action{{Name: "iptables.drop", Synced: true}}}}
		h.Stats.ActiveBans = 1
		var shown bytes.Buffer
		if err := h.figures(&shown, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(shown.String()), " "); !strings.Contains(got, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("dry run %v: %s", dry, shown.String())
		}
		if dry && strings.Contains(shown.String(), "in force") {
			t.Errorf("in force, in a dry run: %s", shown.String())
		}
	}
}

// TestFleetInWords: peers that were not heard for the longest time come first, and what they write is
// escaped.
func TestFleetInWords(t *testing.T) {
	now := time.Now()
	f := &status.Fleet{Node: "sbc1", Server: "tls://192.0.2.10:4222", Joined: true, Records: 3, Unsent: 1, Refused: 2, Firings: status.Firings{Node: 3, Late: 1, Peer: 5}}
	f.Notices = status.List[status.Notices]{{Kind: "counts", Told: 9, Taken: 8, Missed: 7}, {Kind: "registrations"}}
	for i := range 22 {
		f.Peers = append(f.Peers, status.Peer{Name: fmt.Sprintf("n%02d", i), Heard: now.Add(-time.Duration(i) * time.Minute)})
	}
	f.Peers[21] = status.Peer{Name: "sbc2", Taken: 7, Lag: 0.002, Refused: 2, Why: "ban.192.0.2.1: trusted\x1b[31m", Clock: -3.2, Dropped: 4, Missed: 6}
	h := &health{Status: status.Status{Fleet: f}}
	var shown bytes.Buffer
	if err := h.figures(&shown, now); err != nil {
		t.Fatal(err)
	}
	text := shown.String()
	for _, want := range []string{
		"joined at tls://192.0.2.10:4222; 22 peers, 3 decisions, 1 not sent yet, 2 not in force here",
		"heard never, 7 taken, the latest after 2ms, 2 refused, the latest: ban.192.0.2.1: trusted",
		"fleet counts     9 notices told, 8 taken, 7 missed\n", "4 here, 1 of them because no peer fired in time, 5 at peers",
		", clock ahead by -3s, 4 messages dropped, 6 notices missed", "heard 20m ago, 0 taken", "2 more, heard later than these",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "fleet registrations") || strings.Contains(text, "\x1b") || strings.Contains(text, "peer n00") {
		t.Errorf("not escaped, or a peer that was heard just now is shown:\n%q", text)
	}
	f.Server, f.Joined, f.Peers = "", false, nil
	shown.Reset()
	if err := h.figures(&shown, now); err != nil || !strings.Contains(shown.String(), "no server, goes on by itself; 0 peers") {
		t.Errorf("%v %s", err, shown.String())
	}
}
