package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// testStart is the start of every test; tests state times since then.
var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// RunTest plays the events of a test to its rule alone, and returns how the result differs
// from what is expected. Without differences the test passed. The error is of a test that
// could not be played.
func RunTest(cfg *config.Config, t config.Test) ([]string, error) {
	only := *cfg
	i := slices.IndexFunc(cfg.Rules, func(r *rule.Spec) bool { return r.Name == t.Rule })
	only.Rules = cfg.Rules[i : i+1]

	bans := map[netip.Prefix]ban.Term{}
	alerts := map[netip.Prefix]int{}
	refusals := map[netip.Prefix]string{}
	e := New(&only, Options{OnChange: func(c *ban.Change) {
		network := c.Target.Prefix()
		switch c.Kind {
		case ban.KindBan, ban.KindExtend:
			bans[network] = c.Term
		case ban.KindAlert:
			alerts[network]++
		case ban.KindRefuse:
			refusals[network] = c.Why
		case ban.KindSpare:
			refusals[network] = c.Why
			alerts[network]++ // nothing else tells people of it
		}
	}})
	e.verifier.SetPairs(nil) // the events of a test are not corroborated
	events, err := play(cfg, t.Given)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		e.observe(ev, ev.Time)
		if err := e.settle(); err != nil {
			return nil, err
		}
	}
	return differences(t, bans, alerts, refusals), nil
}

// play returns the events of a test in the order of their times.
func play(cfg *config.Config, given []config.Given) ([]*event.Event, error) {
	var events []*event.Event
	next := testStart
	for _, g := range given {
		if g.At != nil {
			next = testStart.Add(*g.At)
		}
		for n := 1; n <= g.Times; n++ {
			heard, err := reported(cfg, g, n)
			if err != nil {
				return nil, err
			}
			for _, ev := range heard {
				ev.Time = next
				ev.Source = g.Source
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
	var events []*event.Event
	_, err := cfg.Sources[i].Source.Replay(context.Background(), plugin.Recording{
		Name: g.Where, R: strings.NewReader(number.Replace(g.Line)),
	}, nil, func(ev *event.Event) error {
		events = append(events, ev)
		return nil
	})
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("%s: source %s sees no event in this line; `explain` tells why", g.Where, g.Source)
	}
	return events, err
}

// differences compares what was expected with what was decided.
func differences(t config.Test, bans map[netip.Prefix]ban.Term, alerts map[netip.Prefix]int, refusals map[netip.Prefix]string) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, target := range targets(t.Bans, bans) {
		want, expected := t.Bans[target]
		got, came := bans[target]
		name := ban.Network(target).String()
		switch {
		case expected && !came && refusals[target] != "":
			say("expected %s banned for %s, got a refusal: %s", name, want, refusals[target])
		case expected && !came:
			say("expected %s banned for %s, got no ban", name, want)
		case came && !expected:
			say("expected no ban of %s, got %s", name, got)
		case got != want:
			say("expected %s banned for %s, got %s", name, want, got)
		}
	}
	for _, target := range targets(t.Alerts, alerts) {
		if want, got := t.Alerts[target], alerts[target]; want != got {
			say("expected alerts about %s: %d, got %d", ban.Network(target), want, got)
		}
	}
	return out
}

// targets returns the keys of both maps in order.
func targets[V any](a, b map[netip.Prefix]V) []netip.Prefix {
	all := maps.Clone(a)
	if all == nil {
		all = map[netip.Prefix]V{}
	}
	maps.Copy(all, b)
	return slices.SortedFunc(maps.Keys(all), netip.Prefix.Compare)
}
