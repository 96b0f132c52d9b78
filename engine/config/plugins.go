package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A declaredSource is a source that rules may refer to, even if it is wrong in
// itself.
type declaredSource struct {
	rng    hcl.Range
	source plugin.Source // nil if it could not be made
}

// decodeSources has each source block decoded by its kind.
func (l *loader) decodeSources(blocks hcl.Blocks) {
	var kinds []string
	for _, kind := range l.kinds.Sources {
		kinds = append(kinds, kind.Name)
	}
	for _, block := range blocks {
		kind, name := block.Labels[0], block.Labels[1]
		ref := kind + "." + name
		index := l.kind(block, kinds)
		if first := l.sources[ref]; first != nil {
			l.definedTwice(block, "source."+ref, first.rng)
			continue
		}
		declared := &declaredSource{rng: header(block)}
		l.sources[ref] = declared
		if index < 0 {
			continue
		}
		env := plugin.SourceEnv{Name: ref, Eval: l.context(block.TypeRange.Filename)}
		source, diags := l.kinds.Sources[index].New(block.Body, env)
		l.adopt(diags, declared.rng)
		if diags.HasErrors() {
			continue
		}
		declared.source = source
		l.cfg.Sources = append(l.cfg.Sources, Source{Ref: ref, Kind: kind, Name: name, Source: source, Range: declared.rng})
	}
}

// decodeActions has each action block decoded by its kind.
func (l *loader) decodeActions(blocks hcl.Blocks) {
	var kinds []string
	for _, kind := range l.kinds.Actions {
		kinds = append(kinds, kind.Name)
	}
	var trusted []netip.Prefix
	for _, t := range l.cfg.Trusted {
		trusted = append(trusted, t.Network)
	}
	sources := map[string]plugin.Source{}
	for _, s := range l.cfg.Sources {
		sources[s.Ref] = s.Source
	}
	claims := map[string]hcl.Range{}
	for _, block := range blocks {
		kind, name := block.Labels[0], block.Labels[1]
		ref := kind + "." + name
		index := l.kind(block, kinds)
		if first, taken := l.actions[ref]; taken {
			l.definedTwice(block, "action."+ref, first)
			continue
		}
		l.actions[ref] = header(block)
		if index < 0 {
			continue
		}
		env := plugin.ActionEnv{Name: ref, Chain: l.cfg.Security.Chain, Eval: l.context(block.TypeRange.Filename), Sources: sources, Trusted: trusted}
		action, diags := l.kinds.Actions[index].New(block.Body, env)
		l.adopt(diags, header(block))
		if diags.HasErrors() {
			continue
		}
		l.claim(claims, action, header(block))
		l.cfg.Actions = append(l.cfg.Actions, Action{
			Ref: ref, Kind: kind, Name: name, Action: action,
			Blocks: l.kinds.Actions[index].Blocks, Range: header(block),
		})
	}
}

// claim reports an action that wants for itself what another one has.
func (l *loader) claim(claims map[string]hcl.Range, action plugin.Action, rng hcl.Range) {
	c, ok := action.(plugin.Claimant)
	if !ok {
		return
	}
	if first, taken := claims[c.Claim()]; taken {
		l.errorAt(rng, "Claimed twice", fmt.Sprintf("The action at %s has the %s for itself already. Give one of them another, or make them one action.",
			where(first), c.Claim()))
		return
	}
	claims[c.Claim()] = rng
}

// kind checks the two labels of a source or action block and gives the index of
// its kind, or -1.
func (l *loader) kind(block *hcl.Block, kinds []string) int {
	kind, name := block.Labels[0], block.Labels[1]
	if !hclsyntax.ValidIdentifier(name) || len(name) > maxName {
		l.errorAt(block.LabelRanges[1], "Invalid name",
			fmt.Sprintf("The name of this %s stands in references without quotes: a letter first, then letters, digits, _ or -.", block.Type))
	}
	index := slices.Index(kinds, kind)
	if index < 0 {
		hint := event.DidYouMean(kind, kinds)
		if hint == "" {
			hint = fmt.Sprintf(" There are: %s.", strings.Join(kinds, ", "))
		}
		l.errorAt(block.LabelRanges[0], fmt.Sprintf("Unknown kind of %s", block.Type),
			fmt.Sprintf("There is no kind of %s named %q.%s", block.Type, kind, hint))
	}
	return index
}

// definedTwice reports the second definition of a name.
func (l *loader) definedTwice(block *hcl.Block, what string, first hcl.Range) {
	l.errorAt(header(block), "Defined twice", fmt.Sprintf("%s is already defined at %s. Give one of them another name.", what, where(first)))
}
