package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// brakeStory has a rule of three failures in a minute and bans of 40 seconds, then five minutes.
// Its brake allows two new bans in ten minutes. log has what the engine logs.
func brakeStory(t *testing.T, change func(*rule.Spec)) (s *story, log *bytes.Buffer) {
	spec := banning(t)
	spec.Brake = &rule.Brake{Bans: 2, Within: 10 * time.Minute}
	if change != nil {
		change(spec)
	}
	s, log = tellStory(t, spec), &bytes.Buffer{}
	s.options.Log = slog.New(slog.NewTextHandler(log, nil))
	return s, log
}

// kinds lists what was decided about an address.
func (s *story) kinds(ip string) string {
	var all []string
	for _, c := range s.got {
		if c.Target == ban.Address(netip.MustParseAddr(ip)) {
			word := string(c.Kind)
			if c.Kind == ban.KindBan {
				word += " " + c.Term.String()
			}
			all = append(all, word)
		}
	}
	return strings.Join(all, ", ")
}

// TestBrakeDoesNotEndBans uses up a brake. New targets are banned at twice the threshold, then at
// four times, without a limit, and begin with the second term.
func TestBrakeDoesNotEndBans(t *testing.T) {
	s, _ := brakeStory(t, nil)
	for i := range 2 {
		s.fails(3, "1000", fmt.Sprint("203.0.113.", i))
	}
	for i := 2; i < 4; i++ {
		s.fails(6, "1000", fmt.Sprint("203.0.113.", i))
	}
	for i := 4; i < 20; i++ {
		ip := fmt.Sprint("203.0.113.", i)
		s.fails(11, "1000", ip)
		if got := s.kinds(ip); got != "" && i > 4 {
			t.Errorf("%s below four times the threshold: %s", ip, got)
		}
		s.fails(1, "1000", ip)
		if got := s.kinds(ip); !strings.HasSuffix(got, "ban 5m") {
			t.Errorf("%s: %s", ip, got)
		}
	}
	var told []string
	for _, c := range s.got {
		if c.Kind == ban.KindAlert {
			told = append(told, c.Reason)
		}
	}
	want := "brake used up: 2 new bans in 10m; new targets have to reach the threshold 2 times; 3 in 1m, per ip 203.0.113.2\n" +
		"brake used up: 2 new bans in 10m; new targets have to reach the threshold 4 times; 3 in 1m, per ip 203.0.113.4"
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("alerts:\n%s\nwant:\n%s", got, want)
	}
	if got := s.kinds("203.0.113.2"); got != "alert, ban 5m, expire" && got != "alert, ban 5m" {
		t.Errorf("at twice the threshold: %s", got)
	}
}

// TestBrakeLimitsNewUnprovenTargets uses up all limited steps of a brake. A target that was banned
// before, and one that cannot be forged, are banned at the threshold.
func TestBrakeLimitsNewUnprovenTargets(t *testing.T) {
	s, _ := brakeStory(t, nil)
	for i := range 4 {
		s.fails(6, "1000", fmt.Sprint("203.0.113.", i))
	}
	s.now = s.now.Add(5 * time.Minute)
	s.fails(3, "1000", "203.0.113.0")
	if got := s.kinds("203.0.113.0"); !strings.HasSuffix(got, "ban 5m") {
		t.Errorf("banned before: %s", got)
	}
	for range 3 {
		s.now = s.now.Add(time.Second)
		s.observe(&event.Event{Time: s.now, Name: event.AuthFailure, Source: "log.x", IP: netip.MustParseAddr("203.0.113.9"), Proven: true}, s.now)
	}
	if err := s.settle(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds("203.0.113.9"); got != "ban 40s" {
		t.Errorf("proven: %s", got)
	}
	if got := s.rules.Stats()[0].Withheld; got != 2 {
		t.Errorf("%d withheld", got)
	}
}

// TestBrakeOfARuleWithoutThreshold bans a target at its second and at its fourth match.
func TestBrakeOfARuleWithoutThreshold(t *testing.T) {
	s, _ := brakeStory(t, func(spec *rule.Spec) { spec.Threshold = nil })
	for i, matches := range []int{1, 1, 2, 2, 4, 4} {
		ip := fmt.Sprint("203.0.113.", i)
		s.fails(matches-1, "1000", ip)
		if strings.Contains(s.kinds(ip), "ban") {
			t.Errorf("%s is banned before its match %d", ip, matches)
		}
		if s.fails(1, "1000", ip); !strings.Contains(s.kinds(ip), "ban") {
			t.Errorf("%s is not banned at its match %d", ip, matches)
		}
	}
}

// TestAUsedUpBrakeIsAProblem reads the status and the log while a brake is used up, and after it.
// A reload between the two changes nothing.
func TestAUsedUpBrakeIsAProblem(t *testing.T) {
	s, log := brakeStory(t, nil)
	degraded := func() string {
		st := s.status()
		for _, p := range status.Problems(&st, nil) {
			if p.Subject == "rule guessing" {
				return string(p.Severity) + ": " + p.Text
			}
		}
		return ""
	}
	for i := range 9 {
		if s.fails(3, "1000", fmt.Sprint("203.0.113.", i)); (i < 2) != (degraded() == "") {
			t.Errorf("after %d sources: %q", i+1, degraded())
		}
	}
	if got := degraded(); !strings.HasPrefix(got, "warning: its brake is used up: ") {
		t.Error(got)
	}
	s.Reload(s.cfg)
	s.now = s.now.Add(9 * time.Minute)
	if s.hears(event.Challenge, "1000", "203.0.113.1"); degraded() == "" || log.Len() > 0 {
		t.Errorf("recovered too early: %s", log)
	}
	s.now = s.now.Add(time.Minute)
	if s.hears(event.Challenge, "1000", "203.0.113.1"); degraded() != "" || !strings.Contains(log.String(), `msg="brake recovered" rule=guessing withheld=7`) {
		t.Errorf("%q, %s", degraded(), log)
	}
	alerts := 0
	for _, c := range s.got {
		if c.Kind == ban.KindAlert {
			alerts++
		}
	}
	if alerts != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%d alerts, log:\n%s", alerts, log)
	}
}
