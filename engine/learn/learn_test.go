package learn

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
)

var start = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

const (
	stream = "esl.pbx"
	log    = "log.freeswitch"
)

// spec makes a rule of both sources that bans one address.
func spec(t testing.TB, name, match string, th *rule.Threshold) *rule.Spec {
	t.Helper()
	matcher, problems := rule.Compile(match, rule.Vocabulary{})
	if problems != nil {
		t.Fatal(problems)
	}
	return &rule.Spec{
		Name: name, Where: "rules.d/10.hcl:1", On: []string{stream, log}, Match: matcher, Threshold: th,
		Ban: &rule.Ban{Terms: []ban.Term{ban.Term(time.Hour)}, Network: rule.Host},
	}
}

func perIP(count int, within time.Duration) *rule.Threshold {
	return &rule.Threshold{Count: count, Within: within, Per: rule.Key{{Field: "ip", Network: rule.Host}}}
}

// guessing is a rule for five failures in ten minutes.
func guessing(t testing.TB) *rule.Spec {
	return spec(t, "guessing", "event == 'auth_failure'", perIP(5, 10*time.Minute))
}

// A recording feeds events to rules and to a recorder.
type recording struct {
	*Recorder
	rules *rule.Set
	at    time.Time
	twice bool // another source reports the calls, too
}

// record returns a recording of rules that proposes addresses seen on three days.
func record(t testing.TB, specs ...*rule.Spec) *recording {
	t.Helper()
	plan, err := numbering.New(numbering.Site{Country: "DE", Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	n := New(Options{
		Numbering: plan,
		Rules:     specs, Trusted: ban.NewTrust(nil), Days: 3,
		Forgeable: func(source string) bool { return source == log },
	})
	return &recording{Recorder: n, rules: rule.NewSet(specs), at: start}
}

// play records an event as the program does: the recorder sees it, and then the
// decisions of the rules.
func (r *recording) play(ev *event.Event) {
	var decided []*ban.Change
	r.rules.Observe(ev, func(f *rule.Firing) { decided = append(decided, decisionOf(f)) })
	r.Record(ev)
	for _, c := range decided {
		r.Decided(c)
	}
}

// decisionOf is the change that a firing leads to.
func decisionOf(f *rule.Firing) *ban.Change {
	c := &ban.Change{Kind: ban.KindAlert, At: f.Event.Time, Ban: ban.Ban{
		Rule: f.Spec.Name, Author: ban.ByRule, Evidence: []ban.Evidence{{IP: f.Event.IP, User: f.Event.User, Domain: f.Event.Domain, Proven: f.Event.Verified()}},
	}}
	if len(f.Orders) > 0 {
		c.Kind, c.Target = ban.KindBan, f.Orders[0].Target
	}
	return c
}

// one plays an event of the stream, a second after the previous one.
func (r *recording) one(name, ip, user string) *event.Event {
	r.at = r.at.Add(time.Second)
	ev := &event.Event{Time: r.at, Name: name, Source: stream, IP: netip.MustParseAddr(ip), User: user}
	r.play(ev)
	return ev
}

func (r *recording) register(ip, user string) {
	r.one(event.Challenge, ip, user)
	r.one(event.AuthSuccess, ip, user)
	r.one(event.Registered, ip, user)
}

func (r *recording) fail(ip, user string, times int) {
	for range times {
		r.one(event.AuthFailure, ip, user)
	}
}

// daily plays the same events on each of several days.
func (r *recording) daily(days int, play func()) {
	for day := range days {
		if at := start.AddDate(0, 0, day); at.After(r.at) {
			r.at = at
		}
		play()
	}
}

// office registers four phones.
func (r *recording) office(ip string) {
	for i := range 4 {
		r.register(ip, fmt.Sprintf("20%d", i))
	}
}

// proposed returns the only proposal.
func proposed(t *testing.T, f *Findings) *Proposal {
	t.Helper()
	if len(f.Proposals) != 1 {
		t.Fatalf("%d proposals, want one: %+v", len(f.Proposals), f.Proposals)
	}
	return &f.Proposals[0]
}

func wantNone(t *testing.T, f *Findings) {
	t.Helper()
	if len(f.Proposals) != 0 {
		t.Errorf("proposed: %+v", f.Proposals)
	}
}

func TestConcludeChangesNothing(t *testing.T) {
	r := record(t, guessing(t))
	r.daily(4, func() {
		r.office("203.0.113.7")
		r.fail("203.0.113.7", "200", 1)
		r.fail("198.51.100.9", "admin", 30)
	})
	first := r.Conclude()
	if second := r.Conclude(); !reflect.DeepEqual(first, second) {
		t.Errorf("a second call returns other findings:\n%+v\n%+v", first, second)
	}
	if first.Attackers != 1 || first.Genuine != 1 || first.Addresses != 2 {
		t.Errorf("%+v", first)
	}
}

func TestNothing(t *testing.T) {
	f := record(t, guessing(t)).Conclude()
	if f.Events != 0 || len(f.Proposals) != 0 || len(f.Rules) != 1 || f.Rules[0].Advice != Unknown {
		t.Errorf("%+v", f)
	}
}
