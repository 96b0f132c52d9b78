package config

import (
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
)

// TestAnnotate has rules read a field in their match, in then, and only to count by it: it is set for the events of
// which they read it, and for no others.
func TestAnnotate(t *testing.T) {
	match := func(text string) *rule.Matcher {
		m, problems := rule.Compile(text, rule.Vocabulary{Open: true})
		if problems != nil {
			t.Fatal(problems)
		}
		return m
	}
	per := func(field string) rule.Key { return rule.Key{{Field: field}} }
	const failure, call, other = event.AuthFailure, event.Call, event.Registered
	for name, test := range map[string]struct {
		spec          rule.Spec
		digits, clock []string // names of the events
	}{
		"in match":             {rule.Spec{Match: match("event == 'call' and destination_tail != ''")}, []string{call}, nil},
		"in match by time":     {rule.Spec{Match: match("event == 'call' and time.Hour() < 24 and hour < 24")}, nil, []string{call}},
		"in match of any":      {rule.Spec{Match: match("night or event == 'call'")}, nil, []string{failure, call, other}},
		"only per":             {rule.Spec{Match: match("event == 'call'"), Threshold: &rule.Threshold{Per: per("destination_tail")}}, []string{call}, nil},
		"only distinct":        {rule.Spec{Match: match("event == 'call'"), Threshold: &rule.Threshold{Per: per("user"), Distinct: "weekday"}}, nil, []string{call}},
		"only then":            {rule.Spec{Match: match("event == 'auth_failure'"), Threshold: &rule.Threshold{Per: per("user"), Then: match("event == 'call' and night")}}, nil, []string{failure, call}},
		"per, of then as well": {rule.Spec{Match: match("event == 'auth_failure'"), Threshold: &rule.Threshold{Per: per("hour"), Then: match("event == 'call'")}}, nil, []string{failure, call}},
		"then of any":          {rule.Spec{Match: match("event == 'auth_failure'"), Threshold: &rule.Threshold{Per: per("hour"), Then: match("proven")}}, nil, []string{failure, call, other}},
		"nowhere":              {rule.Spec{Match: match("event == 'call'"), Threshold: &rule.Threshold{Per: per("destination")}}, nil, nil},
	} {
		test.spec.Name = name
		plan, _ := numbering.New(numbering.Site{})
		cfg := &Config{Numbering: plan, used: usedBy([]*rule.Spec{&test.spec})}
		for _, one := range []string{failure, call, other} {
			ev := &event.Event{Name: one, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Destination: "0049301234567"}
			cfg.Annotate(ev)
			if got, want := ev.DestinationTail != "", slices.Contains(test.digits, one); got != want {
				t.Errorf("%s: the digits of %s are set: %v", name, one, got)
			}
			if got, want := ev.Weekday != "", slices.Contains(test.clock, one); got != want {
				t.Errorf("%s: the time of %s is set: %v", name, one, got)
			}
		}
	}
}
