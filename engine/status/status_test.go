package status

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
)

// TestProblems says what is wrong, and how bad it is.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Status, *[]Kernel)
		want   Severity
		text   string
	}{
		{"all is well", func(*Status, *[]Kernel) {}, OK, "[]"},
		{"a source that failed", func(s *Status, _ *[]Kernel) { s.Sources[0].Fault = "no such file" }, Critical, "[source log.a: no such file]"},
		{"a source with trouble", func(s *Status, _ *[]Kernel) { s.Sources[0].Problems = List[Problem]{{Warning, "", "no list"}} }, Warning, "[source log.a: no list]"},
		{"a source with news", func(s *Status, _ *[]Kernel) {
			s.Sources[0].Problems = List[Problem]{{Info, "", "no DNS"}}
		}, OK, "[source log.a: no DNS]"},
		{"a source that ended", func(s *Status, _ *[]Kernel) { s.Sources[0].Running = false }, Critical, "[source log.a: not running]"},
		{"no source", func(s *Status, _ *[]Kernel) { s.Sources = nil }, Warning, "no source"},
		{"an action that fails", func(s *Status, _ *[]Kernel) { s.Actions[0].Error = "exit status 4" }, Critical, "[action wall.drop: exit status 4]"},
		{"an action that fails, and the kernel shows it", func(s *Status, k *[]Kernel) {
			s.Actions[0].Error = "resync: exit status 4"
			(*k)[0].Add(Critical, "exit status 4")
			(*k)[0].Problems[0].Subject = "action wall.drop"
		}, Critical, "[action wall.drop: resync: exit status 4]"},
		{"not yet synced", func(s *Status, _ *[]Kernel) { s.Actions[0].Synced = false }, Critical, "not synced"},
		{"an action that reports", func(s *Status, _ *[]Kernel) { s.Actions[0].Add(Warning, "%d calls", 3) }, Warning, "[action wall.drop: 3 calls]"},
		{"the kernel is broken", func(_ *Status, k *[]Kernel) { (*k)[0].Add(Critical, "no chain") }, Critical, "no chain"},
		{"the kernel could not be read", func(_ *Status, k *[]Kernel) { (*k)[0].Unreadable(fmt.Errorf("IPv4: a\nIPv6: b")) }, Critical, "IPv4: a : IPv6: b]"},
		{"the kernel is odd", func(_ *Status, k *[]Kernel) { (*k)[0].Add(Warning, "after an ACCEPT") }, Warning, "after an ACCEPT"},
		{"no kernel", func(_ *Status, k *[]Kernel) { *k = nil }, Warning, "no action writes to the kernel"},
		{"bans of accounts alone", func(_ *Status, k *[]Kernel) { (*k)[0].Targets[0] = ban.TargetAccount }, Warning, "no action writes to the kernel"},
		{"a dry run", func(s *Status, k *[]Kernel) { s.DryRun, *k = true, nil }, Warning, "[dry run: no ban is enforced]"},
		{"rules ban nothing", func(s *Status, _ *[]Kernel) { s.AutoBlock = false }, Warning, "auto_block_enabled"},
		{"state", func(s *Status, _ *[]Kernel) { s.State.Error = "disk full" }, Warning, "[state: not saved: disk full]"},
		{"damage", func(s *Status, _ *[]Kernel) { s.State.Damage = "page 7: wrong header" }, Warning, "[state: damaged at the start, bans were taken over from the kernel: page 7: wrong header]"},
		{"rules", func(s *Status, _ *[]Kernel) { s.Reload.Error = "2 mistakes" }, Warning, "[rules: not reloaded: 2 mistakes]"},
		{"the worst comes first", func(s *Status, k *[]Kernel) {
			s.State.Error = "disk full"
			s.Sources[0].Fault = "no such file"
		}, Critical, "[source log.a: no such file state: not saved: disk full]"},
	} {
		s := &Status{AutoBlock: true, Actions: []Action{{Name: "wall.drop", Synced: true}}, Sources: []Source{{Name: "log.a", Running: true}}}
		kernels := []Kernel{{Action: "wall.drop", Targets: List[ban.TargetKind]{ban.TargetAddress}}}
		c.change(s, &kernels)
		if got := Problems(s, kernels); Worst(got) != c.want || !strings.Contains(fmt.Sprint(got), c.text) {
			t.Errorf("%s: %v, want %s %s", c.name, got, c.want, c.text)
		}
	}
}

// TestJSON: an absent list is empty, an unknown number is null, and what was encoded
// is decoded again.
func TestJSON(t *testing.T) {
	const want = `{"action":"","targets":[],"chain":"","backend":"","versions":[],"jumps":[],"unread":true,"count":null,` +
		`"entries":[{"target":"203.0.113.7","packets":3,"bytes":0,"permanent":true,"bypassed":false}],"foreign":[],"problems":[]}`
	k := Kernel{Unread: true, Entries: []Entry{{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Packets: 3, Permanent: true}}}
	text, err := json.Marshal(k)
	if err != nil || string(text) != want {
		t.Fatalf("%s, %v", text, err)
	}
	var again Kernel
	if err := json.Unmarshal(text, &again); err != nil || again.Entries[0] != k.Entries[0] {
		t.Fatalf("%+v, %v", again, err)
	}
}

func TestHistogram(t *testing.T) {
	h := NewHistogram(1, 10)
	for _, v := range []float64{0.5, 1, 5, 100} {
		h.Add(v)
	}
	if b := h.Buckets(); h.Count != 4 || h.Sum != 106.5 || b[1] != 2 || b[10] != 3 || len(b) != 2 {
		t.Errorf("%+v", h)
	}
}

// TestSum adds up what rules and sources did, and the tallies of each rule.
func TestSum(t *testing.T) {
	s := Status{
		Sources: []Source{{Lost: 1, Lines: 10, Bytes: 100}, {Lost: 2}},
		Rules:   []Rule{{Name: "a", Matches: 5, Firings: 2}, {Name: "b", Matches: 1}},
		Stats:   Stats{Tallies: []Tally{{Rule: "a", Source: "x", Bans: 1}, {Rule: "a", Source: "y", Bans: 2, Alerts: 1}, {Bans: 4, Refusals: 1}}},
	}
	s.Sum()
	if g := s.Stats; g.Lost != 3 || g.Lines != 10 || g.Bytes != 100 || g.Matches != 6 || g.Firings != 2 || g.Bans != 7 || g.Alerts != 1 || g.Refusals != 1 {
		t.Errorf("%+v", g)
	}
	if s.Rules[0].Bans != 3 || s.Rules[0].Alerts != 1 || s.Rules[1].Bans != 0 {
		t.Errorf("%+v", s.Rules)
	}
}
