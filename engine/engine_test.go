package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// A script is a source that reports the same events live and recorded.
type script struct {
	events []event.Event
	after  func() // called after each live event has been counted
}

func (s *script) Describe() plugin.Description {
	var d plugin.Description
	for _, name := range event.Names {
		d.Events.Add(plugin.EventSpec{Name: name, Open: true})
	}
	return d
}

func (s *script) Replay(_ context.Context, _ plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	for _, ev := range s.events {
		if err := emit(&ev); err != nil {
			return plugin.Stats{}, err
		}
	}
	return plugin.Stats{Lines: int64(len(s.events))}, nil
}

func (s *script) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for _, ev := range s.events {
		if wait := time.Until(ev.Time); wait > 0 {
			<-time.After(wait)
		}
		stream.Emit(&ev)
		synctest.Wait()
		if s.after != nil {
			s.after()
		}
	}
	return nil
}

func mustTerm(t testing.TB, s string) ban.Term {
	t.Helper()
	term, err := ban.ParseTerm(s)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// guessing is a configuration of a few rules that ban, alert and brake.
func guessing(t testing.TB, sources ...config.Source) *config.Config {
	t.Helper()
	match, problems := rule.Compile("event == 'auth_failure'", rule.Vocabulary{Events: event.Names})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	key := func(parts ...string) rule.Key {
		k, err := rule.ParseKey(parts)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	var on []string
	for i, s := range sources {
		on = append(on, s.Ref)
		if s.Source != nil {
			sources[i].Description = s.Source.Describe()
			sources[i].Fingerprint = sha256.Sum256(fmt.Appendf(nil, "%p", s.Source))
		}
	}
	return &config.Config{
		Security: config.Security{AutoBlock: true, Protect: config.Protect{Registered: true, Gateways: true}},
		Sources:  sources,
		Rules: []*rule.Spec{
			{
				Name: "guessing", On: on, Match: match,
				Threshold: &rule.Threshold{Count: 3, Within: time.Minute, Per: key("ip")},
				Ban:       &rule.Ban{Terms: []ban.Term{mustTerm(t, "40s"), mustTerm(t, "5m")}, Forget: time.Hour, Network: rule.Host},
				Brake:     &rule.Brake{Bans: 4, Within: 3 * time.Minute},
			},
			{
				Name: "spraying", On: on, Match: match,
				Threshold: &rule.Threshold{Count: 3, Within: 2 * time.Minute, Per: key("ip/24,64"), Distinct: "user"},
				Ban:       &rule.Ban{Terms: []ban.Term{mustTerm(t, "2m")}, Network: rule.Host},
			},
			{
				Name: "account", On: on, Match: match,
				Threshold: &rule.Threshold{Count: 3, Within: time.Minute, Per: key("user"), Distinct: "ip"},
				Alert:     &rule.Alert{Every: 5 * time.Minute},
			},
		},
	}
}

// attack makes a random story that starts at start: a few addresses and users,
// some of which are registered for a while, gateways that come and go, and times
// that stand still, jump, and now and then run backwards.
func attack(rng *rand.Rand, start time.Time, source string) []event.Event {
	now := start
	events := make([]event.Event, 60)
	for i := range events {
		now = now.Add(time.Duration(rng.IntN(20)-1) * time.Second)
		if now.Before(start) {
			now = start
		}
		events[i] = event.Event{
			Time: now, Name: event.AuthFailure, Source: source, User: fmt.Sprint(1000 + rng.IntN(4)),
			IP:   netip.AddrFrom4([4]byte{203, 0, byte(rng.IntN(2)), byte(rng.IntN(3))}),
			Text: fmt.Sprint("line ", i),
		}
		peculiar(rng, &events[i])
	}
	return events
}

// peculiar makes one in five events something other than a failure of an address.
func peculiar(rng *rand.Rand, ev *event.Event) {
	switch rng.IntN(20) {
	case 0:
		ev.Name, ev.Fields = event.Registered, map[string]string{"expires": fmt.Sprint(rng.IntN(120))}
	case 1:
		ev.Name = event.Unregistered
	case 2:
		if rng.IntN(3) == 0 {
			ev.Name, ev.Fields = event.Gateway, map[string]string{"gateway": "carrier"}
		}
	case 3:
		ev.Name, ev.Fields = event.GatewayRemoved, map[string]string{"gateway": "carrier"}
		ev.IP = netip.Addr{}
	case 4:
		ev.IP = netip.Addr{}
	}
}

// history collects verdicts in one comparable line each.
type history []string

func (h *history) tell(v *ban.Change) {
	var evidence []string
	for _, e := range v.Evidence {
		evidence = append(evidence, e.Time.UTC().Format(time.RFC3339Nano)+" "+e.Text)
	}
	*h = append(*h, fmt.Sprint(v.At.UTC().Format(time.RFC3339Nano), " ", v.Kind, " ", v.Target, " ", v.Rule, " ", v.Offence, " ",
		v.Term, " ", v.Until.UTC().Format(time.RFC3339Nano), " ", v.Text(), " ", strings.Join(evidence, ", ")))
}

// diff tells where two histories part.
func (h history) diff(t *testing.T, name string, other history) {
	t.Helper()
	for i := range max(len(h), len(other)) {
		var a, b string
		if i < len(h) {
			a = h[i]
		}
		if i < len(other) {
			b = other[i]
		}
		if a != b {
			t.Fatalf("%s: verdict %d differs\n  replay: %s\n    live: %s", name, i, a, b)
		}
	}
}

// replay runs events through the replay driver; reload after each, if asked for.
func runReplay(t *testing.T, src *script, reload bool) history {
	t.Helper()
	var h history
	cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
	e := New(cfg, Options{OnChange: h.tell})
	var each func(*event.Event)
	if reload {
		each = func(*event.Event) { e.Reload(guessing(t, config.Source{Ref: "log.x", Source: src})) }
	}
	inputs := []Input{{Ref: "log.x", Source: src, Recording: plugin.Recording{Name: "script"}}}
	if _, err := e.Replay(t.Context(), inputs, each); err != nil {
		t.Fatal(err)
	}
	return h
}

func runLive(t *testing.T, src *script, reload bool) history {
	t.Helper()
	var h history
	cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
	e := New(cfg, Options{OnChange: h.tell})
	if reload {
		src.after = func() {
			if err := e.Do(t.Context(), func() { e.Reload(guessing(t, config.Source{Ref: "log.x", Source: src})) }); err != nil {
				t.Error(err)
			}
		}
	}
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestLiveAgreesWithReplay compares the two drivers, with and
// without a reload after every event.
func TestLiveAgreesWithReplay(t *testing.T) {
	bans := 0
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			events := attack(rand.New(rand.NewPCG(seed, 1)), time.Now().Add(time.Second), "log.x")
			want := runReplay(t, &script{events: events}, false)
			bans += len(want)
			name := fmt.Sprintf("seed %d", seed)
			want.diff(t, name+", reload in replay", runReplay(t, &script{events: events}, true))
			want.diff(t, name+", live", runLive(t, &script{events: events}, false))
		})
		synctest.Test(t, func(t *testing.T) {
			events := attack(rand.New(rand.NewPCG(seed, 1)), time.Now().Add(time.Second), "log.x")
			want := runReplay(t, &script{events: events}, false)
			want.diff(t, fmt.Sprintf("seed %d, reload live", seed), runLive(t, &script{events: events}, true))
		})
	}
	if bans < 600 {
		t.Fatalf("the stories led to %d verdicts only: they test too little", bans)
	}
}

func TestFutureCountsAsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []ban.Change
		src := &future{}
		e := New(guessing(t, config.Source{Ref: "log.x", Source: src}), Options{OnChange: func(c *ban.Change) { got = append(got, *c) }})
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || !got[0].InForce() || !got[0].At.Equal(time.Now()) {
			t.Fatalf("got %+v at %s", got, time.Now())
		}
	})
}

// future reports three failures that are stamped a year ahead.
type future struct{ script }

func (*future) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for range 3 {
		stream.Emit(&event.Event{
			Time: time.Now().AddDate(1, 0, 0), Name: event.AuthFailure, Source: "log.x", User: "1000",
			IP: netip.MustParseAddr("203.0.113.7"),
		})
	}
	return nil
}

// TestStreamsAreMergedByTime replays two sources whose events interleave.
func TestStreamsAreMergedByTime(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []time.Time
	scripts := [2]*script{{}, {}}
	for i := range 2000 {
		at := start.Add(time.Duration(i) * time.Second)
		want = append(want, at)
		s := scripts[(i/7)%2]
		s.events = append(s.events, event.Event{Time: at, Name: event.Challenge})
	}
	e := New(guessing(t), Options{})
	var got []time.Time
	_, err := e.Replay(t.Context(), []Input{{Ref: "a", Source: scripts[0]}, {Ref: "b", Source: scripts[1]}},
		func(ev *event.Event) { got = append(got, ev.Time) })
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatal("events came out of order")
	}
}

func TestReloadUnbansWhatItTrusts(t *testing.T) {
	src := &script{}
	for i := range 3 {
		src.events = append(src.events, event.Event{
			Time: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC), Name: event.AuthFailure, Source: "log.x", User: "1000",
			IP: netip.MustParseAddr("203.0.113.7"),
		})
	}
	var h history
	cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
	e := New(cfg, Options{OnChange: h.tell})
	if _, err := e.Replay(t.Context(), []Input{{Ref: "log.x", Source: src}}, nil); err != nil {
		t.Fatal(err)
	}
	trusting := guessing(t, config.Source{Ref: "log.x", Source: src})
	trusting.Trusted = []ban.Trusted{{Target: ban.Network(netip.MustParsePrefix("203.0.113.0/24")), Name: "office"}}
	e.Reload(trusting)
	if err := e.settle(); err != nil {
		t.Fatal(err)
	}
	if len(h) != 2 || !strings.Contains(h[1], "unban 203.0.113.7 guessing") || !strings.Contains(h[1], "trusted: office") {
		t.Fatalf("history:\n%s", strings.Join(h, "\n"))
	}
}

// TestFutureStampInARecording puts one line that is stamped years ahead before an
// attack: it must neither end bans early nor keep them from ending.
func TestFutureStampInARecording(t *testing.T) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	failure := func(at time.Time) event.Event {
		return event.Event{Time: at, Name: event.AuthFailure, Source: "log.x", User: "1000", IP: netip.MustParseAddr("203.0.113.7")}
	}
	src := &script{events: []event.Event{failure(start), failure(start.AddDate(10, 0, 0))}}
	for i := range 30 {
		src.events = append(src.events, failure(start.Add(time.Duration(i)*20*time.Second)))
	}
	var h history
	e := New(guessing(t, config.Source{Ref: "log.x", Source: src}), Options{OnChange: h.tell})
	input := Input{Ref: "log.x", Source: src, Recording: plugin.Recording{ModTime: start.Add(time.Hour)}}
	if _, err := e.Replay(t.Context(), []Input{input}, nil); err != nil {
		t.Fatal(err)
	}
	if story := strings.Join(h, "\n"); !strings.Contains(story, "expire") || strings.Contains(story, "2036") {
		t.Fatalf("history:\n%s", story)
	}
}

// TestBrakeLeavesRefusalsVisible uses up the bans of a rule and then reports a trusted
// and a banned address.
func TestBrakeLeavesRefusalsVisible(t *testing.T) {
	src := &script{}
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i, ip := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.200", "203.0.113.2"} {
		src.events = append(src.events, event.Event{Time: start.Add(time.Duration(i) * time.Second), Name: event.AuthFailure, Source: "log.x", IP: netip.MustParseAddr(ip)})
	}
	cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
	one := *cfg.Rules[0]
	one.Threshold, one.Brake = nil, &rule.Brake{Bans: 1, Within: time.Hour}
	cfg.Rules = []*rule.Spec{&one}
	cfg.Trusted = []ban.Trusted{{Target: ban.Network(netip.MustParsePrefix("203.0.113.200/32")), Name: "office", Where: "rules.d/00-site.hcl:4"}}
	var got []string
	e := New(cfg, Options{OnChange: func(v *ban.Change) { got = append(got, string(v.Kind)+" "+v.Text()) }})
	if _, err := e.Replay(t.Context(), []Input{{Ref: "log.x", Source: src}}, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"ban ", "refuse already banned", "refuse trusted: office (rules.d/00-site.hcl:4)", "alert brake used up: "} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Fatalf("verdict %d of %q, want %q", i, got, want)
		}
	}
}

// TestClockSetBack runs an engine whose clock was an hour ahead when it started.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{}
		for i := range 3 {
			src.events = append(src.events, event.Event{
				Time: time.Now().Add(time.Duration(i) * time.Second), Name: event.AuthFailure, Source: "log.x", User: "1000",
				IP: netip.MustParseAddr("203.0.113.7"),
			})
		}
		src.after = func() {}
		src.events = append(src.events, event.Event{Time: time.Now().Add(2 * time.Minute), Name: event.Challenge, Source: "log.x"})
		var h history
		e := New(guessing(t, config.Source{Ref: "log.x", Source: src}), Options{OnChange: h.tell})
		e.advance(time.Now().Add(time.Hour))
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if story := strings.Join(h, "\n"); len(h) != 2 || !strings.Contains(h[1], "expire") {
			t.Fatalf("history:\n%s", story)
		}
	})
}

// A listener notes what it is asked for each time that it is followed.
type listener struct {
	script
	asked chan map[string]bool
}

func (l *listener) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	l.asked <- stream.Want
	<-ctx.Done()
	return nil
}

// TestReloadAsksASourceForWhatRulesNeed goes from no rules to one for any event,
// and to the same again.
func TestReloadAsksASourceForWhatRulesNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &listener{asked: make(chan map[string]bool, 10)}
		without := guessing(t, config.Source{Ref: "log.x", Source: src})
		without.Rules, without.Security.Protect = nil, config.Protect{}
		with := guessing(t, config.Source{Ref: "log.x", Source: src})
		with.Security.Protect = config.Protect{}
		match, problems := rule.Compile("port > 0", rule.Vocabulary{Events: event.Names})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		any := *with.Rules[0]
		any.Match = match
		with.Rules = []*rule.Spec{&any}

		e := New(without, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		if want := <-src.asked; want == nil || len(want) != 0 {
			t.Errorf("asked for %v without rules", want)
		}
		for range 2 {
			if err := e.Do(ctx, func() { e.Reload(with) }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(src.asked); n != 1 {
			t.Fatalf("asked %d times more, want once", n)
		}
		if want := <-src.asked; want != nil {
			t.Errorf("asked for %v, want every event", want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestReloadAsksForRawFields goes from a rule without raw fields to one that reads one: only a source
// that may have any is started again.
func TestReloadAsksForRawFields(t *testing.T) {
	for _, open := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			src := &listener{asked: make(chan map[string]bool, 10)}
			described := plugin.Description{Events: plugin.Vocabulary{{Name: event.AuthFailure, Raw: []string{"kind"}, Open: open}}}
			without, with := guessing(t, config.Source{Ref: "log.x", Source: src}), guessing(t, config.Source{Ref: "log.x", Source: src})
			without.Sources[0].Description, with.Sources[0].Description = described, described
			match, problems := rule.Compile("event == 'auth_failure' and fields.kind == 'x'", rule.Vocabulary{Events: event.Names})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			one := *with.Rules[0]
			one.Match = match
			with.Rules = []*rule.Spec{&one}
			e := New(without, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- e.Run(ctx) }()
			if want := <-src.asked; want[event.Raw("kind")] {
				t.Errorf("asked for %v", want)
			}
			for range 2 {
				if err := e.Do(ctx, func() { e.Reload(with) }); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if n := len(src.asked); open && (n != 1 || !(<-src.asked)[event.Raw("kind")]) || !open && n != 0 {
				t.Errorf("open %v: asked %d times more, or not for the field", open, n)
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}
