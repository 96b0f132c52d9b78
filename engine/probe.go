package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A Mistake is an error of the caller: there is no such source, no such field. Any
// other error means that the engine cannot do it now.
type Mistake string

func (m Mistake) Error() string { return string(m) }

// A Probe is a line or an event to test against the rules. Exactly one of the two is
// given.
type Probe struct {
	Source string // "log.freeswitch"; "": the first that can read it
	Line   string
	Event  map[string]string // fields by their names in rules: "event", "ip", "user"
}

// Findings is the result of a probe.
type Findings struct {
	Events  status.List[Sighting] `json:"events"`
	Explain string                `json:"explain"` // how the source reads the line; "" if it cannot say
}

// A Sighting is an event and the rules that match it.
type Sighting struct {
	Source string              `json:"source"`
	Fields map[string]string   `json:"fields"`
	Rules  status.List[string] `json:"rules"` // whose expression is true
	Trust  string              `json:"trust"` // what trusts its address; "" if it may be banned
}

// Probe tests a line or an event against the rules, and counts nothing. A wrong probe is a
// [Mistake]. It is safe for concurrent use.
func (e *Engine) Probe(ctx context.Context, p Probe) (Findings, error) {
	var cfg *config.Config
	if err := e.between(ctx, func() { cfg = e.cfg }); err != nil {
		return Findings{}, err
	}
	sources, err := probed(cfg, p.Source)
	if err != nil {
		return Findings{}, err
	}
	found, events, err := sense(ctx, sources, p)
	if err != nil && ctx.Err() == nil {
		err = Mistake(err.Error())
	}
	if err != nil {
		return found, err
	}
	err = e.between(ctx, func() {
		for _, ev := range events {
			cfg.Annotate(ev)
			e.known.fill(ev, e.now)
		}
	})
	if err != nil {
		return found, err
	}
	for _, ev := range events {
		found.Events = append(found.Events, e.sighting(cfg, ev))
	}
	return found, nil
}

// probed returns the sources that may read a probe: the one that it names, or else all
// but the feeds, in their order in the rule files.
func probed(cfg *config.Config, ref string) ([]config.Source, error) {
	var able []config.Source
	var known []string
	for _, s := range cfg.Sources {
		if s.Ref == ref {
			return []config.Source{s}, nil
		}
		if !s.Description.Feed { // a list has no form of its own
			able = append(able, s)
		}
		known = append(known, s.Ref)
	}
	switch {
	case len(known) == 0:
		return nil, Mistake("the rule files declare no source")
	case ref != "":
		return nil, Mistake(fmt.Sprintf("there is no source %q; there are: %s", ref, strings.Join(known, ", ")))
	case len(able) == 0:
		return cfg.Sources, nil
	}
	return able, nil
}

// sense makes events of a probe. The first source that recognises a line reads and
// explains it. If none does, the first one that can explain it says why.
// An error before ctx ends is a mistake of the caller.
func sense(ctx context.Context, sources []config.Source, p Probe) (found Findings, events []*event.Event, err error) {
	if p.Event != nil {
		ev, err := probe(sources[0].Ref, p.Event)
		return found, []*event.Event{ev}, err
	}
	for _, s := range sources {
		var stats plugin.Stats
		events, stats, err = s.Read(ctx, "the line", p.Line)
		recognised := stats.Recognised || len(events) > 0
		if ctx.Err() != nil {
			return found, nil, ctx.Err()
		}
		if recognised {
			found.Explain = ""
		}
		if s.Description.Explain != nil && found.Explain == "" {
			found.Explain = s.Description.Explain(p.Line)
		}
		if recognised {
			return found, events, err
		}
	}
	if len(sources) > 1 {
		err = nil // it is about the last one only
	}
	return found, nil, err
}

// probe makes an event of fields.
func probe(source string, fields map[string]string) (*event.Event, error) {
	ev := &event.Event{Source: source, Time: time.Now()}
	for name, value := range fields {
		if err := ev.Set(name, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if ev.Name == "" {
		return nil, errors.New(`an event needs its name: "event": "auth_failure"`)
	}
	return ev, nil
}

// sighting returns the fields of an event, the rules that match it and the trust of its
// address.
func (e *Engine) sighting(cfg *config.Config, ev *event.Event) Sighting {
	s := Sighting{Source: ev.Source, Fields: map[string]string{}}
	for i := range event.Fields {
		if value := event.Fields[i].Get(ev); value != "" {
			s.Fields[event.Fields[i].Name] = value
		}
	}
	for name, value := range ev.Fields {
		s.Fields[name] = value
	}
	for _, r := range cfg.Rules {
		if counts, _ := r.Counts(ev); counts {
			s.Rules = append(s.Rules, r.Name)
		}
	}
	if ev.IP.IsValid() {
		if t := e.ledger.Trusted(ban.Address(ev.IP)); t != nil {
			s.Trust = t.String()
		}
	}
	return s
}
