package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"

	"github.com/expr-lang/expr/vm"
)

// Test implements [admin.Guard].
func (g *Guard) Test(ctx context.Context, p admin.Probe) (admin.Findings, error) {
	var cfg *config.Config
	if err := g.between(ctx, func() { cfg = g.cfg }); err != nil {
		return admin.Findings{}, err
	}
	source, err := probed(cfg, p.Source)
	if err != nil {
		return admin.Findings{}, err
	}
	var found admin.Findings
	var events []*event.Event
	if p.Event != nil {
		ev, err := probe(source.Ref, p.Event)
		if err != nil {
			return found, err
		}
		events = append(events, ev)
	} else {
		if e, ok := source.Source.(plugin.Explainer); ok {
			found.Explain = e.Explain(p.Line)
		}
		rec := plugin.Recording{Name: "the line", ModTime: time.Now(), R: strings.NewReader(p.Line)}
		_, err := source.Source.Replay(ctx, rec, nil, func(ev *event.Event) error {
			ev.Source = source.Ref
			events = append(events, ev)
			return nil
		})
		if err != nil {
			return found, err
		}
	}
	for _, ev := range events {
		found.Events = append(found.Events, g.sighting(cfg, ev))
	}
	return found, nil
}

// probed is the source that a probe names, or else the first of the rule files.
func probed(cfg *config.Config, ref string) (config.Source, error) {
	if len(cfg.Sources) == 0 {
		return config.Source{}, admin.Mistake("the rule files declare no source")
	}
	if ref == "" {
		return cfg.Sources[0], nil
	}
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == ref })
	if i < 0 {
		var known []string
		for _, s := range cfg.Sources {
			known = append(known, s.Ref)
		}
		return config.Source{}, admin.Mistake(fmt.Sprintf("there is no source %q; there are: %s", ref, strings.Join(known, ", ")))
	}
	return cfg.Sources[i], nil
}

// probe makes an event of fields.
func probe(source string, fields map[string]string) (*event.Event, error) {
	ev := &event.Event{Source: source, Time: time.Now()}
	for name, value := range fields {
		if name == "source" || name == "time" {
			return nil, admin.Mistake(name + " is not set by a probe")
		}
		if err := ev.Set(name, value); err != nil {
			return nil, admin.Mistake(name + ": " + err.Error())
		}
	}
	if ev.Name == "" {
		return nil, admin.Mistake(`an event needs its name: "event": "auth_failure"`)
	}
	return ev, nil
}

// sighting says what the rules make of an event.
func (g *Guard) sighting(cfg *config.Config, ev *event.Event) admin.Sighting {
	s := admin.Sighting{Source: ev.Source, Fields: map[string]string{}}
	for _, name := range event.FieldNames {
		if read, ok := event.TextField(name); ok && read(ev) != "" {
			s.Fields[name] = read(ev)
		}
	}
	if ev.Repeat {
		s.Fields["repeat"] = "true"
	}
	for name, value := range ev.Fields {
		s.Fields[name] = value
	}
	env := rule.NewEnv(ev)
	for _, r := range cfg.Rules {
		if !slices.Contains(r.On, ev.Source) || ev.Repeat && !r.Match.NamesRepeat() {
			continue
		}
		if matched, _ := r.Match.Match(new(vm.VM), env); matched { // one that cannot be evaluated matches nothing
			s.Rules = append(s.Rules, r.Name)
		}
	}
	if ev.IP.IsValid() {
		if t, ok := g.ledger.Trusted(single(ev.IP)); ok {
			s.Trust = t.String()
		}
	}
	return s
}
