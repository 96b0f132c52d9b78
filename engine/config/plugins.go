package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decodeSources has each source block decoded by its kind. One with enabled = false is
// read as well, but it is no source of the configuration.
func (l *loader) decodeSources(blocks []*settings.Block) {
	var kinds []string
	for _, kind := range l.kinds.Sources {
		kinds = append(kinds, kind.Name)
	}
	for _, b := range blocks {
		ref, index := declare(b, "source", kinds, l.sources)
		if index < 0 {
			continue
		}
		enabled := true
		if b.Bool("enabled", &enabled); !enabled {
			b.Evaluate(l.absent(b.Range.Filename))
			l.cfg.Disabled = append(l.cfg.Disabled, ref)
		}
		source := l.kinds.Sources[index].New(b, plugin.SourceEnv{Name: ref})
		if b.Done(); b.Failed() {
			continue
		}
		description := source.Describe()
		l.descriptions[ref] = &description
		if !enabled {
			continue
		}
		l.cfg.Sources = append(l.cfg.Sources, Source{
			Ref: ref, Kind: b.Labels[0], Name: b.Labels[1], Source: source, Description: description,
			Fingerprint: b.Fingerprint(), Range: b.Range,
		})
	}
}

// decodeActions has each action block decoded by its kind.
func (l *loader) decodeActions(blocks []*settings.Block) {
	var kinds []string
	for _, kind := range l.kinds.Actions {
		kinds = append(kinds, kind.Name)
	}
	var trusted []netip.Prefix
	for _, t := range l.cfg.Trusted {
		if network, ok := t.Target.Network(); ok {
			trusted = append(trusted, network)
		}
	}
	sources := map[string]plugin.Source{}
	for _, ref := range l.cfg.Disabled {
		sources[ref] = nil
	}
	for _, s := range l.cfg.Sources {
		sources[s.Ref] = s.Source
	}
	claims := map[string]hcl.Range{}
	for _, b := range blocks {
		ref, index := declare(b, "action", kinds, l.actions)
		if index < 0 {
			continue
		}
		var claimed []string
		action := l.kinds.Actions[index].New(b, plugin.ActionEnv{
			Name: ref, Chain: l.cfg.Security.Chain, Sources: sources, Trusted: trusted,
			Emergency: l.cfg.Numbering.Emergency, Masked: l.cfg.History.Masked,
			Claim: func(what string) { claimed = append(claimed, what) },
		})
		if b.Done(); b.Failed() || action == nil {
			continue
		}
		b.Note("emergency", l.cfg.Numbering.EmergencyNumbers())
		for _, what := range claimed {
			b.Note("claim", what)
			if first, taken := claims[what]; taken {
				b.Error("", "Claimed twice", fmt.Sprintf("The action at %s uses the %s. Give one of them another, or make them one action.", settings.Where(first), what))
			}
			claims[what] = b.Range
		}
		l.cfg.Actions = append(l.cfg.Actions, Action{
			Ref: ref, Kind: b.Labels[0], Name: b.Labels[1], Action: action, Source: switchOf(b),
			Blocks: l.kinds.Actions[index].Blocks, Targets: l.kinds.Actions[index].Targets,
			Claims: claimed, Fingerprint: b.Fingerprint(),
		})
	}
}

// switchOf returns the source that a block names as its switch, "esl.pbx"; "" if it names none.
func switchOf(b *settings.Block) string {
	attr := b.Attribute("source")
	if attr == nil {
		return ""
	}
	traversal, diags := hcl.AbsTraversalForExpr(attr.Expr)
	if diags.HasErrors() {
		return ""
	}
	return settings.Named(traversal, "source")
}

// declare checks the two labels of a source or action block and notes where it is. It
// returns the index of its kind, or -1 if the block cannot be read.
func declare(b *settings.Block, what string, kinds []string, declared map[string]hcl.Range) (ref string, index int) {
	kind, name := b.Labels[0], b.Labels[1]
	if !hclsyntax.ValidIdentifier(name) || len(name) > maxName {
		b.ErrorAt(b.LabelRanges[1], "Invalid name",
			fmt.Sprintf("References name this %s without quotes: write a letter, then letters, digits, _ or -.", what))
	}
	index = slices.Index(kinds, kind)
	if index < 0 {
		hint := event.DidYouMean(kind, kinds)
		if hint == "" {
			hint = fmt.Sprintf(" There are: %s.", strings.Join(kinds, ", "))
		}
		b.ErrorAt(b.LabelRanges[0], fmt.Sprintf("Unknown kind of %s", what),
			fmt.Sprintf("There is no kind of %s named %q.%s", what, kind, hint))
	}
	ref = kind + "." + name
	if first, taken := declared[ref]; taken && first != b.Range {
		definedTwice(b, what+"."+ref, first)
		index = -1
	} else {
		declared[ref] = b.Range
	}
	if index < 0 {
		b.Skip()
	}
	return ref, index
}

// definedTwice reports the second definition of a name.
func definedTwice(b *settings.Block, what string, first hcl.Range) {
	b.Error("", "Defined twice", fmt.Sprintf("%s is already defined at %s. Give one of them another name.", what, settings.Where(first)))
}

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
