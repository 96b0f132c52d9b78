package engine

import (
	"freeswitch-security/engine/corroboration"
	"freeswitch-security/engine/plugin"
)

// pair tells the verifier which source vouches for which, as the configuration says.
func (e *Engine) pair() {
	var pairs []corroboration.Pair
	for _, s := range e.cfg.Sources {
		doubter, ok := s.Source.(plugin.Doubter)
		if !ok {
			continue
		}
		witness, _ := doubter.Witness()
		if witness == "" {
			continue
		}
		p := corroboration.Pair{Log: s.Ref, Witness: witness}
		if e.live.ctx != nil {
			p.Hearing = func() corroboration.Hearing { return e.hears(witness) }
		}
		pairs = append(pairs, p)
	}
	e.verifier.SetPairs(pairs)
}

// hears says how a source that is being followed is heard.
func (e *Engine) hears(ref string) (h corroboration.Hearing) {
	if running := e.live.follows.running[ref]; running != nil {
		if w, ok := running.source.(plugin.Witness); ok {
			h.Events, h.Records = w.Hearing()
		}
	}
	return h
}
