package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
)

// decodeRules reads the rule blocks, and the tests in them. It skips a rule without an
// enabled source, and tells once of all of them.
func (l *loader) decodeRules(blocks []*settings.Block) {
	var first *settings.Block // of those that are skipped
	var skipped []string
	rules := make([]ruleBlock, len(blocks))
	for i, b := range blocks {
		label := b.Labels[0]
		name(b)
		if first, taken := l.cfg.ruleRanges[label]; taken {
			definedTwice(b, fmt.Sprintf("The rule %q", label), first)
		} else {
			l.cfg.ruleRanges[label] = b.Range
		}
		rules[i] = ruleBlock{loader: l, spec: &rule.Spec{Name: label, Where: settings.Where(b.Range), NAT64: l.cfg.Security.NAT64}}
	}
	sideBySide(len(rules), func(i int) { rules[i].decode(blocks[i]) })
	for i, b := range blocks {
		r := &rules[i]
		l.cfg.Tests = append(l.cfg.Tests, r.tests...)
		l.cfg.Skipped = append(l.cfg.Skipped, r.skipped...)
		if r.skip {
			first = cmp.Or(first, b)
			skipped = append(skipped, r.spec.Name)
			continue
		}
		l.cfg.Rules = append(l.cfg.Rules, r.spec)
	}
	if len(skipped) > 0 {
		l.root.NoticeAt(first.At("on"), "Rules without a source",
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

// A ruleBlock is a rule that is being read. Rules are read side by side, so that of the loader only what
// is heard changes meanwhile.
type ruleBlock struct {
	*loader
	spec *rule.Spec

	on             []string // all its sources, disabled ones too
	skip           bool     // none of them is enabled
	tests, skipped []Test   // skipped need a source that is not enabled
	*vocabulary             // of all its sources together
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
	r.decodeReason(b)
	r.decodeBan(ban, threshold != nil)
	r.decodeAlert(alert)
	r.decodeBrake(brake, ban != nil)
	tests := b.Blocks("test", "name")
	if r.loader.tests {
		r.decodeTests(tests)
	}
	for _, test := range tests {
		if !r.loader.tests { // of a file in JSON, or one that could not be read without them
			test.Skip()
		}
	}
}

// decodeOn reads the sources of the rule, and joins their vocabularies.
func (r *ruleBlock) decodeOn(b *settings.Block) {
	r.vocabulary = r.heard.of(r.descriptions, nil)
	if !b.Require("on", "Write which sources this rule reads: on = [source.log.freeswitch].") {
		return
	}
	r.on, r.whole = r.sourceRefs(b, "on")
	r.spec.On = r.enabled(r.on)
	r.skip = r.whole && len(r.spec.On) == 0
	r.vocabulary = r.heard.of(r.descriptions, r.on)
	r.whole = r.whole && len(r.on) > 0 && !r.lacks
}

// raw are the keys that the sources of the rule set in Event.Fields; nil if they are
// not known beforehand.
func (r *ruleBlock) raw() []string {
	if r.open || !r.whole {
		return nil
	}
	return r.keys
}

// A vocabulary is what several sources report together. It does not change.
type vocabulary struct {
	names  []string // of their events
	events []string // that a rule on them may be about
	keys   []string // that they set in Event.Fields; never nil
	open   bool     // they may set others as well
	lacks  bool     // one of them is unknown or has errors
}

// heard holds the vocabularies of sources, which most rules have in common. It is safe for concurrent use.
type heard struct {
	mu    sync.Mutex             // guards what follows
	known map[string]*vocabulary // by the sources
}

// of returns the vocabulary of sources that are described.
func (h *heard) of(descriptions map[string]*plugin.Description, refs []string) *vocabulary {
	h.mu.Lock()
	defer h.mu.Unlock()
	sources := strings.Join(refs, " ")
	if v := h.known[sources]; v != nil {
		return v
	}
	v := &vocabulary{}
	var all plugin.Vocabulary
	for _, ref := range refs {
		source := descriptions[ref]
		if source == nil {
			v.lacks = true
			continue
		}
		for _, spec := range source.Events {
			all.Add(spec)
		}
	}
	v.names = all.Names()
	v.events = slices.Concat(v.names, event.Names)
	v.keys, v.open = all.Raw()
	v.keys = append([]string{}, v.keys...)
	if h.known == nil {
		h.known = map[string]*vocabulary{}
	}
	h.known[sources] = v
	return v
}
