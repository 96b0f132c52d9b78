package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// A result is what became of one target in a test.
type result struct {
	ban     ban.Term // 0: no ban
	refusal string   // of the latest order that was refused or spared
	alerts  int
}

// RunTest plays the events of a test to its rule alone, and returns how the result differs
// from what is expected. Without differences the test passed. The error is of a test that
// could not be played.
func RunTest(cfg *config.Config, t config.Test) ([]string, error) {
	only := *cfg
	i := slices.IndexFunc(cfg.Rules, func(r *rule.Spec) bool { return r.Name == t.Rule })
	spec := *cfg.Rules[i]
	if only.Rules = []*rule.Spec{&spec}; spec.Ban != nil { // as if enabled: the switch is the site's, the test the rule's
		on := *spec.Ban
		spec.Ban, on.Off = &on, false
	}
	only.Numbering, only.GeoIP = t.Plan(), nil
	results := map[ban.Target]result{}
	e := New(&only, Options{OnChange: func(c *ban.Change) {
		if c.Target.Kind() == ban.TargetEndpoint {
			return // beside a sparing
		}
		r := results[c.Target]
		switch c.Kind {
		case ban.KindBan, ban.KindExtend:
			r.ban = c.Term
		case ban.KindAlert:
			r.alerts++
		case ban.KindRefuse:
			r.refusal = c.Why
		case ban.KindSpare:
			r.refusal = c.Why
			r.alerts++ // nothing else tells people of it
		}
		results[c.Target] = r
	}})
	e.verifier.SetPairs(nil) // the events of a test are not corroborated
	e.ledger.SetKinds(append(enforced(cfg), ban.TargetAccount))
	var nodes []string
	for _, g := range t.Given {
		nodes = append(nodes, g.Node)
	}
	e.join(nodes)
	events, err := play(&only, t.Given)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		e.observe(ev, ev.Time)
		if err := e.settle(); err != nil {
			return nil, err
		}
	}
	return differences(t, results), nil
}

// play returns the events of a test in the order of their times.
func play(cfg *config.Config, given []config.Given) ([]*event.Event, error) {
	var events []*event.Event
	start := cfg.Numbering.TestStart()
	next := start
	for _, g := range given {
		if g.At != nil {
			next = start.Add(*g.At)
		}
		for n := 1; n <= g.Times; n++ {
			heard, err := reported(cfg, g, n)
			if err != nil {
				return nil, err
			}
			for _, ev := range heard {
				ev.Time = next
				ev.Source, ev.Node = g.Source, g.Node
				if begins := ev.Name == event.Call || ev.Name == event.CallAnswered; begins && g.Event != nil && ev.UUID == "" {
					ev.UUID = "given " + strconv.Itoa(len(events)) // each is a call of its own
				}
				events = append(events, ev)
			}
			next = next.Add(g.Every)
		}
	}
	slices.SortStableFunc(events, func(a, b *event.Event) int { return a.Time.Compare(b.Time) })
	return events, nil
}

// reported returns the nth repetition: a copy of the event, with n for every repetition in
// its texts, or what the source reads in the line.
func reported(cfg *config.Config, g config.Given, n int) ([]*event.Event, error) {
	number := strings.NewReplacer(config.Repetition, strconv.Itoa(n))
	if g.Event != nil {
		ev := *g.Event
		if g.IP != "" {
			if err := ev.Set("ip", number.Replace(g.IP)); err != nil {
				return nil, fmt.Errorf("%s: repetition %d: %w", g.Where, n, err)
			}
		}
		ev.Each(func(text *string) { *text = number.Replace(*text) })
		return []*event.Event{&ev}, nil
	}
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == g.Source })
	events, _, err := cfg.Sources[i].Read(context.Background(), g.Where, number.Replace(g.Line))
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("%s: source %s sees no event in this line; `explain` tells why", g.Where, g.Source)
	}
	return events, err
}

// differences compares what was expected with what was decided.
func differences(t config.Test, results map[ban.Target]result) []string {
	targets := slices.Concat(slices.Collect(maps.Keys(t.Bans)), slices.Collect(maps.Keys(t.Alerts)), slices.Collect(maps.Keys(results)))
	slices.SortFunc(targets, ban.Target.Compare)
	targets = slices.Compact(targets)
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, target := range targets {
		name, want, got := target.String(), t.Bans[target], results[target]
		switch {
		case got.ban == want:
		case got.ban == 0 && got.refusal != "":
			say("expected %s banned for %s, got a refusal: %s", name, want, got.refusal)
		case got.ban == 0:
			say("expected %s banned for %s, got no ban", name, want)
		case want == 0:
			say("expected no ban of %s, got %s", name, got.ban)
		default:
			say("expected %s banned for %s, got %s", name, want, got.ban)
		}
	}
	for _, target := range targets {
		if want, got := t.Alerts[target], results[target].alerts; want != got {
			say("expected alerts about %s: %d, got %d", target, want, got)
		}
	}
	return out
}
