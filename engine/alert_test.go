package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// alerting is a rule that alerts about an account if three addresses fail for it.
func alerting(t *testing.T) *rule.Spec {
	key, err := rule.ParseKey([]string{"user@domain"})
	if err != nil {
		t.Fatal(err)
	}
	spec := banning(t)
	spec.Name, spec.Ban = "account", nil
	spec.Threshold = &rule.Threshold{Count: 3, Within: time.Hour, Per: key, Distinct: "ip"}
	spec.Alert = &rule.Alert{Every: time.Hour}
	return spec
}

// TestAnAlertReachesActions checks every field that is passed on.
func TestAnAlertReachesActions(t *testing.T) {
	spec := alerting(t)
	spec.Alert.Actions = []string{"webhook.noc"}
	s := tellStory(t, spec)
	for i := range 3 {
		s.fails(1, "1000", fmt.Sprint("203.0.113.", i))
	}
	if len(s.got) != 1 || len(s.changes) != 1 || s.ledger.Size() != 0 {
		t.Fatalf("verdicts:\n%s\nchanges %+v", s.said(), s.changes)
	}
	c, b := s.changes[0], s.changes[0].Ban
	if c.Kind != ban.KindAlert || c.InForce() || !c.At.Equal(s.now) || c.Seq == 0 || c.Why != "" {
		t.Errorf("change %+v", c)
	}
	if b.Target.String() != "203.0.113.2" || b.Rule != "account" || b.Source != "log.x" || b.Author != ban.ByRule ||
		b.Key != "1000@pbx" || b.Reason != "3 different values of ip in 1h, per user@domain 1000@pbx" || !b.Start.Equal(s.now) ||
		len(b.Evidence) != 3 || fmt.Sprint(b.Actions) != "[webhook.noc]" {
		t.Errorf("ban %+v", b)
	}
}

// TestSlowAttackFromEverywhere is one account that a new address tries every few
// minutes for a day: one alert a day, and one for another account.
func TestSlowAttackFromEverywhere(t *testing.T) {
	spec := alerting(t)
	spec.Alert.Every = 24 * time.Hour
	s := tellStory(t, spec)
	for i := range 400 {
		s.fails(1, "1000", fmt.Sprintf("203.0.%d.%d", i/200, i%200))
		if i == 100 {
			for i := range 5 {
				s.fails(1, "1001", fmt.Sprintf("198.51.100.%d", i))
			}
		}
		s.now = s.now.Add(4 * time.Minute)
	}
	const account = "3 different values of ip in 1h, per user@domain "
	if len(s.got) != 3 || len(s.changes) != 3 {
		t.Fatalf("verdicts:\n%s", s.said())
	}
	for i, want := range []string{account + "1000@pbx", account + "1001@pbx", account + "1000@pbx, and 119 more since the last one that was told"} {
		if s.got[i].Reason != want || s.changes[i].Ban.Reason != want {
			t.Errorf("alert %d: %q, want %q", i, s.got[i].Reason, want)
		}
	}
	if held := s.rules.Stats()[0].Held; held < 119 {
		t.Errorf("%d alerts were held off", held)
	}
}

// TestHoldOffSurvivesAReload reloads the configuration after every event.
func TestHoldOffSurvivesAReload(t *testing.T) {
	s := tellStory(t, alerting(t))
	for i := range 30 {
		s.fails(1, "1000", fmt.Sprint("203.0.113.", i))
		s.Reload(s.cfg)
	}
	if len(s.got) != 1 {
		t.Errorf("verdicts:\n%s", s.said())
	}
}

// TestEveryMatchAlerts has a rule without a threshold.
func TestEveryMatchAlerts(t *testing.T) {
	spec := alerting(t)
	spec.Threshold = nil
	spec.Alert.Every = spec.Threshold.HoldOff()
	s := tellStory(t, spec)
	s.fails(3, "1000", "203.0.113.7")
	if len(s.changes) != 3 {
		t.Errorf("told %d times", len(s.changes))
	}
}

// TestNoAddressToBan has a rule that bans catch an event without an address.
func TestNoAddressToBan(t *testing.T) {
	spec := alerting(t)
	spec.Threshold.Distinct, spec.Alert = "", nil
	spec.Ban = &rule.Ban{Terms: []ban.Term{mustTerm(t, "1h")}, Network: rule.Host}
	const reason = "the event has no address that could be banned; 3 in 1h, per user@domain 1000@pbx"
	s := tellStory(t, spec)
	s.fails(9, "1000", "")
	s.want("alert : " + reason)
	if len(s.changes) != 1 || s.changes[0].Kind != ban.KindAlert || s.changes[0].Ban.Target.IsValid() || s.changes[0].Ban.Reason != reason {
		t.Errorf("changes %+v", s.changes)
	}
	spec.Alert = &rule.Alert{Every: time.Hour}
	s = tellStory(t, spec)
	s.fails(9, "1000", "")
	s.want("alert : " + reason)
	if len(s.changes) != 1 {
		t.Errorf("changes %+v", s.changes)
	}
}

// TestAlertsOfADryRun counts the alerts of a dry run: those of a replay.
func TestAlertsOfADryRun(t *testing.T) {
	src := &script{}
	for i := range 50 {
		src.events = append(src.events, event.Event{Time: morning.Add(time.Duration(i) * time.Minute), Name: event.AuthFailure, Source: "log.x",
			User: "1000", Domain: "pbx", IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})})
	}
	cfg := guessing(t)
	cfg.Rules = []*rule.Spec{alerting(t)}
	var got []ban.Change
	e := New(cfg, Options{DryRun: true, OnChange: func(c *ban.Change) { got = append(got, *c) }})
	if _, err := e.Replay(t.Context(), []Input{{Ref: "log.x", Source: src}}, nil); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Kind != ban.KindAlert {
		t.Errorf("verdicts %+v", got)
	}
}

// TestHeldAlertsReachActionsThatBlock: an alert names an action that acts on calls, and one of a
// webhook. From the threshold on each match reaches the first, and one alert is told.
func TestHeldAlertsReachActionsThatBlock(t *testing.T) {
	esl := config.Action{Ref: "esl.fraud", Blocks: true}
	for _, test := range []struct {
		name    string
		actions []string
		ban     bool // by the rule as well; its target is registered
		action  config.Action
		want    string // kinds of the changes; ' marks one that is held off
	}{
		{"named", []string{"webhook.noc", "esl.fraud"}, false, esl, "alert alert' alert' alert' alert'"},
		{"not named", nil, false, esl, "alert"},
		{"another named", []string{"webhook.noc"}, false, esl, "alert"},
		{"a level", []string{"iptables.drop"}, false, config.Action{Ref: "iptables.drop", Blocks: true, Action: &wall{}}, "alert"},
		{"spared", []string{"esl.fraud"}, true, esl, "spare spare' spare' spare' spare'"},
		{"spared, not named", nil, true, esl, "spare spare'"}, // a new window for each
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := banning(t)
			spec.Alert = &rule.Alert{Every: time.Hour, Actions: test.actions}
			if !test.ban {
				spec.Ban = nil
			}
			s := tellStory(t, spec)
			s.cfg.Actions = []config.Action{test.action}
			s.cfg.Security.Protect.Registered = true
			s.Reload(s.cfg)
			s.hears(event.Registered, "1000", "203.0.113.7")
			s.fails(7, "1000", "203.0.113.7")
			var got []string
			for _, c := range s.changes {
				kind := string(c.Kind)
				if c.Held {
					kind += "'"
				}
				got = append(got, kind)
			}
			if strings.Join(got, " ") != test.want || len(s.got) != 1 || s.tallies[tallied{spec.Name, "log.x"}].Alerts > 1 {
				t.Errorf("%s; told %d times", got, len(s.got))
			}
		})
	}
}

// TestABanClearsTheWindow: an alert that names an action keeps no window once a ban came of it.
func TestABanClearsTheWindow(t *testing.T) {
	spec := banning(t)
	spec.Alert = &rule.Alert{Every: time.Hour, Actions: []string{"esl.fraud"}}
	s := tellStory(t, spec)
	s.cfg.Actions = []config.Action{{Ref: "esl.fraud", Blocks: true}}
	s.fails(5, "1000", "203.0.113.7")
	if fired := s.rules.Stats()[0].Firings; fired != 1 || s.ledger.Size() != 1 {
		t.Errorf("%d firings, %d bans", fired, s.ledger.Size())
	}
}
