package engine

import (
	"freeswitch-security/engine/corroborate"
	"freeswitch-security/engine/plugin"
)

// pair tells the desk which source vouches for which, as the configuration says.
func (e *Engine) pair() {
	var pairs []corroborate.Pair
	for _, s := range e.cfg.Sources {
		doubter, ok := s.Source.(plugin.Doubter)
		if !ok {
			continue
		}
		witness, _ := doubter.Witness()
		if witness == "" {
			continue
		}
		p := corroborate.Pair{Log: s.Ref, Witness: witness}
		if e.live.ctx != nil {
			p.Hearing = func() corroborate.Hearing { return e.hears(witness) }
		}
		pairs = append(pairs, p)
	}
	e.desk.SetPairs(pairs)
}

// hears says how a source that is being followed is heard.
func (e *Engine) hears(ref string) (h corroborate.Hearing) {
	if running := e.live.follows.running[ref]; running != nil {
		if w, ok := running.source.(plugin.Witness); ok {
			h.Events, h.Records = w.Hearing()
		}
	}
	return h
}
