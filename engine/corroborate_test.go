package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
)

// A timed script reports at the times of its events; several may run at once.
type timed struct{ *script }

func (s timed) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for _, ev := range s.events {
		<-time.After(time.Until(ev.Time))
		stream.Emit(&ev)
	}
	return nil
}

// A doubted script is a log that the stream esl.pbx corroborates.
type doubted struct{ timed }

func (d doubted) Describe() plugin.Description {
	return plugin.Description{Corroborate: settings.Text{Value: "esl.pbx"}}
}

// A hearing is a stream that hears the switch itself, since a certain time.
type hearing struct {
	timed
	since time.Time
}

func (s hearing) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Progress.Hear(func() status.Hearing { return status.Hearing{Events: s.since} })
	return s.timed.Follow(ctx, stream)
}

// forgeryStory is a log in which one attempt is true and three are written by a
// caller, and the stream of the same time.
func forgeryStory(start time.Time) (log, esl []event.Event) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	failure := func(source, ip string, seconds int) event.Event {
		return event.Event{Time: at(seconds), Name: event.AuthFailure, Source: source, IP: netip.MustParseAddr(ip), User: "1000"}
	}
	esl = append(esl, failure("esl.pbx", "198.51.100.1", 1))
	for i := range 3 {
		true, false := failure("log.freeswitch", "203.0.113.7", 10+i), failure("log.freeswitch", "192.0.2.9", 10+i)
		false.Sender = netip.MustParseAddr("203.0.113.66")
		log = append(log, true, false)
		esl = append(esl, failure("esl.pbx", "203.0.113.7", 10+i))
	}
	esl = append(esl, failure("esl.pbx", "198.51.100.1", 30))
	return log, esl
}

// forgeryRules ban for three failures that only the log tells of, and for one
// forgery.
func forgeryRules(t *testing.T, log, esl *script, since time.Time) *config.Config {
	cfg := guessing(t,
		config.Source{Ref: "log.freeswitch", Source: doubted{timed{log}}}, config.Source{Ref: "esl.pbx", Source: hearing{timed{esl}, since}})
	forged, problems := rule.Compile("event == 'log_forgery'", rule.Vocabulary{Events: event.Names})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cfg.Rules[0].On = []string{"log.freeswitch"}
	cfg.Rules[1] = &rule.Spec{Name: "forging", On: []string{"log.freeswitch"}, Match: forged, Ban: cfg.Rules[1].Ban}
	cfg.Rules = cfg.Rules[:2]
	return cfg
}

var forgeryVerdicts = []string{"ban 203.0.113.66 by forging", "ban 203.0.113.7 by guessing"}

// bansIn lists the bans among verdicts.
func bansIn(verdicts []ban.Change) []string {
	var bans []string
	for _, v := range verdicts {
		if v.InForce() {
			bans = append(bans, fmt.Sprintf("ban %s by %s", v.Target, v.Rule))
		}
	}
	slices.Sort(bans)
	return bans
}

func TestForgedLinesAreHeldAgainstTheForger(t *testing.T) {
	log, esl := forgeryStory(time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC))
	cfg := forgeryRules(t, &script{events: log}, &script{events: esl}, time.Time{})
	var verdicts []ban.Change
	e := New(cfg, Options{OnChange: func(c *ban.Change) { verdicts = append(verdicts, *c) }})
	inputs := []Input{{Ref: "log.freeswitch", Source: cfg.Sources[0].Source}, {Ref: "esl.pbx", Source: cfg.Sources[1].Source}}
	if _, err := e.Replay(t.Context(), inputs, nil); err != nil {
		t.Fatal(err)
	}
	if got := bansIn(verdicts); !slices.Equal(got, forgeryVerdicts) {
		t.Errorf("replay: %q", got)
	}

	synctest.Test(t, func(t *testing.T) {
		log, esl := forgeryStory(time.Now())
		cfg := forgeryRules(t, &script{events: log}, &script{events: esl}, time.Now())
		var verdicts []ban.Change
		e := New(cfg, Options{OnChange: func(c *ban.Change) { verdicts = append(verdicts, *c) }})
		if err := e.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := bansIn(verdicts); !slices.Equal(got, forgeryVerdicts) {
			t.Errorf("live: %q", got)
		}
	})
}

func TestLogIsDiscardedWhileItsWitnessIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, esl := forgeryStory(time.Now())
		cfg := forgeryRules(t, &script{events: log}, &script{events: esl[len(esl)-1:]}, time.Time{})
		e := New(cfg, Options{OnChange: func(v *ban.Change) { t.Errorf("%s %s by %s", v.Kind, v.Target, v.Rule) }})
		if err := e.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBannedAddressesAreStillCorroborated: a banned address goes on, and both sources report it. A line
// that names it and was written by another address is still a forgery of that one, and its own lines are none.
func TestBannedAddressesAreStillCorroborated(t *testing.T) {
	log, esl := forgeryStory(morning)
	attacker, forger := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.67")
	for i := range 100 { // the report comes later than the line, also where the first is under way and the second is not
		ev := event.Event{Time: morning.Add(13*time.Second + time.Duration(i)*9*time.Millisecond), Name: event.AuthFailure, Source: "log.freeswitch", IP: attacker, User: "1000", Sender: attacker}
		log = append(log, ev)
		ev.Source, ev.Time = "esl.pbx", ev.Time.Add(40*time.Millisecond)
		esl = append(esl, ev)
	}
	log = append(log, event.Event{Time: morning.Add(20 * time.Second), Name: event.AuthFailure, Source: "log.freeswitch", IP: attacker, User: "1000", Sender: forger})
	slices.SortStableFunc(esl, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	cfg := forgeryRules(t, &script{events: log}, &script{events: esl}, time.Time{})
	cfg.Actions = []config.Action{{Ref: "wall.x", Blocks: true, Action: &wall{}}}
	var verdicts []ban.Change
	e := New(cfg, Options{OnChange: func(c *ban.Change) { verdicts = append(verdicts, *c) }})
	inputs := []Input{{Ref: "log.freeswitch", Source: cfg.Sources[0].Source}, {Ref: "esl.pbx", Source: cfg.Sources[1].Source}}
	if _, err := e.Replay(t.Context(), inputs, nil); err != nil {
		t.Fatal(err)
	}
	want := slices.Insert(slices.Clone(forgeryVerdicts), 1, "ban 203.0.113.67 by forging")
	if got := bansIn(verdicts); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if stats := e.verifier.Stats(); stats.Confirmed != 103 || stats.Forged != 4 || e.SetAside() < 180 {
		t.Errorf("%+v, %d set aside", stats, e.SetAside())
	}
}
