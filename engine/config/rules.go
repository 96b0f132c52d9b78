package config

import (
	"fmt"
	"maps"
	"slices"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"

	"github.com/hashicorp/hcl/v2"
)

// maxRules bounds the rules of a configuration.
const maxRules = 10_000

var ruleSchema = &hcl.BodySchema{
	Attributes: attributes("on", "match"),
	Blocks: []hcl.BlockHeaderSchema{
		{Type: "threshold"}, {Type: "ban"}, {Type: "alert"}, {Type: "brake"},
		{Type: "test", LabelNames: []string{"name"}},
	},
}

// decodeRules reads the rule blocks, and the tests in them.
func (l *loader) decodeRules(blocks hcl.Blocks) {
	for i, block := range blocks {
		if i == maxRules {
			l.errorAt(header(block), "Too many rules", fmt.Sprintf("There may be %d at the most.", maxRules))
			return
		}
		name := block.Labels[0]
		l.name(name, block.LabelRanges[0])
		if first, taken := l.cfg.ruleRanges[name]; taken {
			l.definedTwice(block, fmt.Sprintf("The rule %q", name), first)
		} else {
			l.cfg.ruleRanges[name] = header(block)
		}
		r := ruleBlock{loader: l, spec: &rule.Spec{Name: name, Where: where(header(block))}}
		r.decode(block)
		l.cfg.Rules = append(l.cfg.Rules, r.spec)
	}
}

// A ruleBlock is one rule in the making.
type ruleBlock struct {
	*loader
	spec *rule.Spec

	vocabulary plugin.Vocabulary // of all its sources together
	// whole is false where a source is missing from the vocabulary, because it is
	// unknown or wrong in itself: then nobody can say what it may not report.
	whole bool
}

// decode reads all parts of the rule, each whether or not the others are right.
func (r *ruleBlock) decode(block *hcl.Block) {
	content := r.content(block, ruleSchema)
	r.decodeOn(block, content.Attributes["on"])
	if attr := content.Attributes["match"]; attr != nil {
		r.spec.Match = r.match(attr.Expr)
	} else {
		r.errorAt(header(block), "Missing match", "Say which events this rule is about: match = \"event == 'auth_failure'\".")
	}
	parts := map[string]*hcl.Block{}
	var tests hcl.Blocks
	for _, b := range content.Blocks {
		switch first := parts[b.Type]; {
		case b.Type == "test":
			tests = append(tests, b)
		case first != nil:
			r.errorAt(header(b), "Block given twice",
				fmt.Sprintf("This rule already has a %s block at %s.", b.Type, where(header(first))))
		default:
			parts[b.Type] = b
		}
	}
	if parts["ban"] == nil && parts["alert"] == nil {
		r.errorAt(header(block), "Rule without effect", "A rule needs a ban block, an alert block, or both: ban {} bans for security.block_duration.")
	}
	r.decodeThreshold(parts["threshold"])
	r.decodeBan(parts["ban"], parts["threshold"] != nil)
	r.decodeAlert(parts["alert"])
	r.decodeBrake(parts["brake"], parts["ban"] != nil)
	r.decodeTests(tests)
}

// decodeOn reads the sources of the rule, and joins their vocabularies.
func (r *ruleBlock) decodeOn(block *hcl.Block, attr *hcl.Attribute) {
	if attr == nil {
		r.errorAt(header(block), "Missing sources", "Say where this rule listens: on = [source.log.freeswitch].")
		return
	}
	r.spec.On, r.whole = r.references(attr, r.sourceReferent())
	r.vocabulary = plugin.Vocabulary{Fields: []string{}}
	for _, ref := range r.spec.On {
		source := r.sources[ref].source
		if source == nil {
			r.whole = false
			continue
		}
		one := source.Vocabulary()
		r.vocabulary.Events = append(r.vocabulary.Events, one.Events...)
		if one.Fields == nil || r.vocabulary.Fields == nil {
			r.vocabulary.Fields = nil
			continue
		}
		r.vocabulary.Fields = append(r.vocabulary.Fields, one.Fields...)
	}
	if !r.whole {
		r.vocabulary.Fields = nil
	}
}

func (l *loader) sourceReferent() referent {
	return referent{"source", "source.log.freeswitch", slices.Sorted(maps.Keys(l.sources))}
}

func (l *loader) actionReferent() referent {
	return referent{"action", "action.iptables.drop", slices.Sorted(maps.Keys(l.actions))}
}
