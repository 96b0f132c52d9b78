package config

import (
	"cmp"
	"fmt"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
)

// decodeRules reads the rule blocks, and the tests in them. It skips a rule without an
// enabled source, and warns once of all of them.
func (l *loader) decodeRules(blocks []*settings.Block) {
	var first *settings.Block // of those that are skipped
	var skipped []string
	for _, b := range blocks {
		label := b.Labels[0]
		name(b)
		if first, taken := l.cfg.ruleRanges[label]; taken {
			definedTwice(b, fmt.Sprintf("The rule %q", label), first)
		} else {
			l.cfg.ruleRanges[label] = b.Range
		}
		r := ruleBlock{loader: l, spec: &rule.Spec{Name: label, Where: settings.Where(b.Range), NAT64: l.cfg.Security.NAT64}}
		r.decode(b)
		if r.skip {
			first = cmp.Or(first, b)
			skipped = append(skipped, label)
			continue
		}
		l.cfg.Rules = append(l.cfg.Rules, r.spec)
	}
	if len(skipped) > 0 {
		l.root.WarnAt(first.At("on"), "Rules without a source",
			fmt.Sprintf("No source that these rules read is enabled, so they and their tests are skipped: %s.", listed(skipped)))
	}
}

// shownRules bounds the names of rules in a warning.
const shownRules = 3

// listed writes the names of rules; of many, the first.
func listed(names []string) string {
	shown := names[:min(len(names), shownRules)]
	text := `"` + strings.Join(shown, `", "`) + `"`
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// maxName bounds the name of a rule or a test, in bytes.
const maxName = 128

// name checks the label of a block. Logs, metrics and tables show it.
func name(b *settings.Block) {
	detail := ""
	switch label := b.Labels[0]; {
	case label == "":
		detail = "A name must not be empty."
	case len(label) > maxName:
		detail = fmt.Sprintf("A name may have %d bytes at the most.", maxName)
	case strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }):
		detail = "A name must not hold line breaks or other control characters."
	default:
		return
	}
	b.ErrorAt(b.LabelRanges[0], "Invalid name", detail)
}

// A ruleBlock is a rule that is being read.
type ruleBlock struct {
	*loader
	spec *rule.Spec

	on         []string          // all its sources, disabled ones too
	skip       bool              // none of them is enabled
	vocabulary plugin.Vocabulary // of all its sources together
	// whole is false where the vocabulary lacks a source that is unknown or has errors, or
	// where a local names none.
	whole bool
}

// decode reads all parts of the rule, also where some of them are wrong.
func (r *ruleBlock) decode(b *settings.Block) {
	r.decodeOn(b)
	if b.Require("match", "Write which events this rule is about: match = \"event == 'auth_failure'\".") {
		r.spec.Match = r.match(b, b.Attribute("match").Expr)
	}
	threshold, ban, alert, brake := b.One("threshold"), b.One("ban"), b.One("alert"), b.One("brake")
	if ban == nil && alert == nil {
		b.Error("", "Rule without effect", "A rule needs a ban block, an alert block, or both: ban {} bans for security.block_duration.")
	}
	r.decodeThreshold(threshold)
	r.decodeScope(b)
	r.decodeBan(ban, threshold != nil)
	r.decodeAlert(alert)
	r.decodeBrake(brake, ban != nil)
	r.decodeTests(b.Blocks("test", "name"))
}

// decodeOn reads the sources of the rule, and joins their vocabularies.
func (r *ruleBlock) decodeOn(b *settings.Block) {
	if !b.Require("on", "Write which sources this rule reads: on = [source.log.freeswitch].") {
		return
	}
	r.on, r.whole = r.sourceRefs(b, "on")
	r.spec.On = r.enabled(r.on)
	r.skip = r.whole && len(r.spec.On) == 0
	r.whole = r.whole && len(r.on) > 0
	for _, ref := range r.on {
		source := r.descriptions[ref]
		if source == nil {
			r.whole = false
			continue
		}
		for _, spec := range source.Events {
			r.vocabulary.Add(spec)
		}
	}
}

// events are the names of the events that the rule may be about.
func (r *ruleBlock) events() []string { return append(r.vocabulary.Names(), event.Names...) }

// raw are the keys that the sources of the rule set in Event.Fields; nil if they are
// not known beforehand.
func (r *ruleBlock) raw() []string {
	keys, open := r.vocabulary.Raw()
	if open || !r.whole {
		return nil
	}
	return append([]string{}, keys...)
}
