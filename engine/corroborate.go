package engine

import (
	"time"

	"freeswitch-security/engine/corroboration"
	"freeswitch-security/engine/status"
)

// pair sets which source corroborates which.
func (e *Engine) pair() {
	var pairs []corroboration.Pair
	for _, s := range e.cfg.Sources {
		witness := s.Description.Corroborate.Value
		if witness == "" {
			continue
		}
		p := corroboration.Pair{Log: s.Ref, Witness: witness, Wire: e.known.proves[witness]}
		if e.live.ctx != nil {
			p.Hearing = func() status.Hearing { return e.hears(witness) }
		}
		pairs = append(pairs, p)
	}
	e.verifier.SetPairs(pairs)
}

// hears returns since when a source hears everything.
func (e *Engine) hears(ref string) status.Hearing {
	running := e.live.sources.running[ref]
	if running == nil {
		return status.Hearing{}
	}
	h := running.stream.Progress.Hearing()
	for _, since := range []*time.Time{&h.Events, &h.Records} {
		if !since.IsZero() {
			*since = e.byClock(*since)
		}
	}
	return h
}

// byClock returns a time of the process by the present clock, which may have been stepped since.
func (e *Engine) byClock(at time.Time) time.Time { return e.options.Clock.Now().Add(-time.Since(at)) }
