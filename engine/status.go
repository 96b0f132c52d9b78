package engine

import (
	"cmp"
	"slices"

	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/rule"
)

// A Status says how a running engine is doing.
type Status struct {
	Events   uint64 // seen since the start
	Waiting  int    // reports that wait for the core
	Bans     int    // in force
	StateErr error  // of the last attempt to save the state; nil: it is saved
	Rules    []rule.RuleStats
	Actions  []enforce.Status // in the order of their names
}

// Status says how the engine is doing. It must be called on the goroutine that
// counts; see [Engine.Do].
func (e *Engine) Status() Status {
	s := Status{
		Events: e.events, Waiting: len(e.live.reports), Bans: e.ledger.Size(), StateErr: e.live.saver.failed(),
		Rules: e.rules.Stats(),
	}
	for _, r := range e.live.runs.runners() {
		s.Actions = append(s.Actions, r.Status())
	}
	slices.SortFunc(s.Actions, func(a, b enforce.Status) int { return cmp.Compare(a.Name, b.Name) })
	return s
}
