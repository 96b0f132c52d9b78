package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/settings"
)

// sourceRefs reads references to sources, and checks that they are declared. It is ok
// only if all of them are; those that are come back in any case, also if they are disabled.
func (l *loader) sourceRefs(b *settings.Block, name string) ([]string, bool) {
	texts, ok := b.References(name, "source", "source.log.freeswitch")
	return l.declared(b, texts, ok, "source", slices.Sorted(maps.Keys(l.sources)))
}

// enabled returns those of the sources that are not disabled.
func (l *loader) enabled(refs []string) []string {
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return slices.Contains(l.cfg.Disabled, ref) })
}

// actionRefs reads references to actions, as sourceRefs does to sources.
func (l *loader) actionRefs(b *settings.Block, name string) []string {
	texts, ok := b.References(name, "action", "action.iptables.drop")
	refs, _ := l.declared(b, texts, ok, "action", slices.Sorted(maps.Keys(l.actions)))
	return refs
}

func (l *loader) declared(b *settings.Block, texts []settings.Text, ok bool, root string, known []string) ([]string, bool) {
	var refs []string
	for _, t := range texts {
		switch {
		case slices.Contains(refs, t.Value):
			b.ErrorAt(t.Range, "Named twice", fmt.Sprintf("%s.%s already stands in this list.", root, t.Value))
			ok = false
		case slices.Contains(known, t.Value):
			refs = append(refs, t.Value)
		default:
			if ok = false; !l.partial {
				b.Invalid(t, "Unknown "+root, unknown(t.Value, root, known), "the name of a declared "+root)
			}
		}
	}
	return refs, ok
}

func unknown(ref, root string, known []string) error {
	hint := fmt.Sprintf(" No %s is declared.", root)
	if best := event.Nearest(ref, known); best != "" {
		hint = fmt.Sprintf(" Did you mean %q?", root+"."+best)
	} else if len(known) > 0 {
		hint = fmt.Sprintf(" Declared are: %s.%s.", root, strings.Join(known, ", "+root+"."))
	}
	return errors.New("there is no " + root + "." + ref + "." + hint)
}
