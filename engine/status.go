package engine

import (
	"cmp"
	"slices"

	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// A Status says how a running engine is doing.
type Status struct {
	Events   uint64 // seen since the start
	Waiting  int    // reports that wait for the core
	Bans     int    // in force
	StateErr error  // of the last attempt to save the state; nil: it is saved
	Rules    []rule.RuleStats
	Sources  []SourceStatus // in the order of the configuration
	Actions  []ActionStatus // in the order of their names

	Registrations int    // that protect their addresses
	Evicted       uint64 // of those: they had to give way before they were over
	Refused       uint64 // addresses of gateways that were one too many to be trusted
	Corroborated  status.Corroborated
}

// An ActionStatus says how an action is doing.
type ActionStatus struct {
	enforce.Status
	Action plugin.Action // to be asked, as a [plugin.Reporter], how it really stands
}

// A SourceStatus says how far a source has come.
type SourceStatus struct {
	Ref     string
	Running bool // it is being followed
	plugin.Progress
}

// Status says how the engine is doing. It must be called on the goroutine that
// counts; see [Engine.Do].
func (e *Engine) Status() Status {
	s := Status{
		Events: e.events, Waiting: len(e.live.reports), Bans: e.ledger.Size(), StateErr: e.live.saver.failed(),
		Rules: e.rules.Stats(), Corroborated: e.verifier.Stats(),
	}
	if r := e.known.registrations; r != nil {
		s.Registrations, s.Evicted = r.Size()
	}
	if g := e.known.gateways; g != nil {
		s.Refused = g.Ignored()
	}
	for _, source := range e.cfg.Sources {
		one := SourceStatus{Ref: source.Ref}
		if running := e.live.follows.running[source.Ref]; running != nil {
			one.Running = true
			if meter, ok := running.source.(plugin.Meter); ok {
				one.Progress = meter.Progress()
			}
		}
		s.Sources = append(s.Sources, one)
	}
	for _, r := range e.live.runs.running {
		s.Actions = append(s.Actions, ActionStatus{Status: r.runner.Status(), Action: r.action})
	}
	slices.SortFunc(s.Actions, func(a, b ActionStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}
