package config

import (
	"fmt"
	"maps"
	"slices"
)

// checkWitnesses looks whether the sources that corroborate others are there, and
// hear the switch itself.
func (l *loader) checkWitnesses() {
	for _, s := range l.cfg.Sources {
		named := s.Description.Corroborate
		ref, where := named.Value, named.Range
		if ref == "" {
			continue
		}
		_, declared := l.sources[ref]
		witness := l.descriptions[ref]
		switch {
		case !declared && !l.partial:
			l.root.Invalid(named, "Unknown source", unknown(ref, "source", slices.Sorted(maps.Keys(l.sources))), "the name of a declared source")
		case slices.Contains(l.cfg.Disabled, ref):
			l.root.ErrorAt(where, "Disabled source", fmt.Sprintf("source.%s is disabled, so nothing that source.%s reports would be believed. Enable it, or remove corroborate.", ref, s.Ref))
		case witness == nil:
			// It is missing from files that could not be read, or wrong in itself.
		case !witness.Hears:
			l.root.ErrorAt(where, "No witness", fmt.Sprintf("source.%s does not hear the switch itself, so it cannot corroborate a log. Name a source of kind \"esl\" or \"sip\".", ref))
		}
	}
}
