package config

import (
	"fmt"
	"maps"
	"slices"

	"freeswitch-security/engine/event"
)

// checkWitnesses looks whether the sources that corroborate others are there, and
// hear the switch itself.
func (l *loader) checkWitnesses() {
	for _, s := range l.cfg.Sources {
		ref, where := s.Description.Corroborate.Value, s.Description.Corroborate.Range
		if ref == "" {
			continue
		}
		_, declared := l.sources[ref]
		witness := l.descriptions[ref]
		switch {
		case !declared && !l.partial:
			hint := event.DidYouMean(ref, slices.Sorted(maps.Keys(l.sources)))
			if hint == "" {
				hint = " It must be a source that hears the switch itself, such as source \"esl\"."
			}
			l.root.ErrorAt(where, "Unknown source", fmt.Sprintf("There is no source.%s.%s", ref, hint))
		case witness == nil:
			// It is missing from files that could not be read, or wrong in itself.
		case !witness.Hears:
			l.root.ErrorAt(where, "No witness", fmt.Sprintf("source.%s does not hear the switch itself, so it cannot corroborate a log. Name a source of kind \"esl\".", ref))
		}
	}
}
