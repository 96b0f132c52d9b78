package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"

	"github.com/hashicorp/hcl/v2"
)

// maxTimes bounds how often one report of a test is repeated.
const maxTimes = 100_000

var testSchema = &hcl.BodySchema{
	Attributes: attributes("bans", "alerts"),
	Blocks:     []hcl.BlockHeaderSchema{{Type: "given"}},
}

// eventFields are the attributes of a given block that are fields of its event.
// The time comes from `at` and `every`, the source is a reference.
var eventFields = slices.DeleteFunc(slices.Clone(event.FieldNames), func(name string) bool {
	return !event.FieldNamed(name).Settable
})

var givenSchema = &hcl.BodySchema{
	Attributes: append(attributes("line", "source", "times", "every", "at", "fields"), attributes(eventFields...)...),
}

// decodeTests reads the test blocks of the rule.
func (r *ruleBlock) decodeTests(blocks hcl.Blocks) {
	taken := map[string]hcl.Range{}
	for _, block := range blocks {
		name := block.Labels[0]
		r.name(name, block.LabelRanges[0])
		if first, twice := taken[name]; twice {
			r.definedTwice(block, fmt.Sprintf("The test %q of this rule", name), first)
		}
		taken[name] = header(block)
		content := r.content(block, testSchema)
		test := Test{
			Rule: r.spec.Name, Name: name, Where: where(header(block)),
			Bans: map[netip.Prefix]ban.Term{}, Alerts: map[netip.Prefix]int{},
		}
		for _, given := range content.Blocks {
			test.Given = append(test.Given, r.decodeGiven(given))
		}
		if len(content.Blocks) == 0 {
			r.errorAt(header(block), "Empty test", "Say what happens in this test: given { event = \"auth_failure\" … }.")
		}
		if attr := content.Attributes["bans"]; attr != nil {
			r.decodeExpectedBans(attr, test.Bans)
		}
		if attr := content.Attributes["alerts"]; attr != nil {
			r.decodeExpectedAlerts(attr, test.Alerts)
		}
		r.cfg.Tests = append(r.cfg.Tests, test)
	}
}

// decodeGiven reads one given block.
func (r *ruleBlock) decodeGiven(block *hcl.Block) Given {
	said := len(r.diags)
	attrs := r.content(block, givenSchema).Attributes
	misspelt := len(r.diags) > said
	g := Given{Times: 1, Every: time.Second, Where: where(header(block))}
	r.decodeGivenSource(attrs["source"], &g)
	if attr := attrs["times"]; attr != nil {
		g.Times, _ = r.wholeNumber(attr.Expr, 1, maxTimes)
	}
	if attr := attrs["every"]; attr != nil {
		g.Every, _ = r.offset(attr.Expr)
	}
	if g.Times > 0 && g.Every > ban.MaxDuration/time.Duration(g.Times) {
		r.errorAt(header(block), "Test too long", fmt.Sprintf("These reports take longer than %s.", ban.FormatDuration(ban.MaxDuration)))
	}
	if attr := attrs["at"]; attr != nil {
		if at, ok := r.offset(attr.Expr); ok {
			g.At = &at
		}
	}
	line, name := attrs["line"], attrs["event"]
	switch {
	case line == nil && name == nil && !misspelt:
		r.errorAt(header(block), "Nothing given", "Say what is reported: event = \"auth_failure\", or the line as the source reads it.")
	case line != nil && name != nil:
		r.errorAt(line.Range, "Line and event", "Give either the event or the line that reports it.")
	case line != nil:
		r.decodeLine(line, attrs, &g)
	default:
		r.decodeEvent(attrs, &g)
	}
	return g
}

// decodeGivenSource says who reports: the first source of the rule by default.
func (r *ruleBlock) decodeGivenSource(attr *hcl.Attribute, g *Given) {
	if len(r.spec.On) > 0 {
		g.Source = r.spec.On[0]
	}
	if attr == nil {
		return
	}
	ref, ok := r.reference(attr.Expr, r.sourceReferent())
	if !ok {
		return
	}
	if r.whole && !slices.Contains(r.spec.On, ref) {
		r.errorAt(attr.Expr.Range(), "Source of another rule", fmt.Sprintf("This rule does not listen to source.%s, so nothing that it reports can show anything.", ref))
	}
	g.Source = ref
}

func (r *ruleBlock) decodeLine(line *hcl.Attribute, attrs hcl.Attributes, g *Given) {
	for _, name := range append(eventFields, "fields") {
		if attr := attrs[name]; attr != nil {
			r.errorAt(attr.NameRange, "Line and field", "The source takes every field from the line. Remove this one, or give an event instead of the line.")
		}
	}
	t, ok := r.text(line.Expr)
	if ok && t.string == "" {
		r.errorAt(t.rng, "Empty line", "Give the line as the source reads it.")
	}
	g.Line = t.string
}

// decodeEvent makes the event that is reported.
func (r *ruleBlock) decodeEvent(attrs hcl.Attributes, g *Given) {
	g.Event = &event.Event{Source: g.Source}
	for _, name := range eventFields {
		attr := attrs[name]
		if attr == nil {
			continue
		}
		t, ok := r.text(attr.Expr)
		if !ok {
			continue
		}
		if name == "ip" && strings.Contains(t.string, Repetition) {
			g.IP = t.string
			t.string = strings.ReplaceAll(t.string, Repetition, strconv.Itoa(max(g.Times, 1))) // the highest there will be
		}
		if err := g.Event.Set(name, t.string); err != nil {
			r.invalid(t, "Invalid "+name, err, "an address, a port or a flag, as its name says")
		}
		if name == "event" {
			r.checkEventName(t)
		}
	}
	if attr := attrs["fields"]; attr != nil {
		r.decodeFields(attr, g.Event)
	}
}

// checkEventName refuses an event that no source of the rule reports.
func (r *ruleBlock) checkEventName(t text) {
	known := append(slices.Clone(event.Names), r.vocabulary.Events...)
	if !r.whole || slices.Contains(known, t.string) {
		return
	}
	err := fmt.Errorf("there is no event %q.%s", t.string, event.DidYouMean(t.string, known))
	r.invalid(t, "Unknown event", err, "the name of an event")
}

// decodeFields reads the raw fields of an event.
func (r *ruleBlock) decodeFields(attr *hcl.Attribute, ev *event.Event) {
	items, _ := r.pairs(attr.Expr)
	known := r.vocabulary.Fields
	ev.Fields = map[string]string{}
	for _, item := range items {
		if known != nil && !slices.Contains(known, item.key.string) {
			err := fmt.Errorf("no source of this rule sets a raw field %q.%s", item.key.string, event.DidYouMean(item.key.string, known))
			r.invalid(item.key, "Unknown raw field", err, "the name of a raw field")
		}
		if t, ok := r.asText(item.val); ok {
			ev.Fields[item.key.string] = event.Bound(t.string, event.MaxField)
		}
	}
}

// decodeExpectedBans reads `bans = { "203.0.113.7" = "10m" }`.
func (r *ruleBlock) decodeExpectedBans(attr *hcl.Attribute, bans map[netip.Prefix]ban.Term) {
	items, _ := r.pairs(attr.Expr)
	if len(items) > 0 && r.spec.Ban == nil {
		r.errorAt(attr.Range, "Rule without bans", "A ban is expected here, but this rule has no ban block.")
	}
	network := rule.Host
	if r.spec.Ban != nil {
		network = r.spec.Ban.Network
	}
	for _, item := range items {
		target, ok := r.target(item.key, network)
		t, good := r.asText(item.val)
		if !ok || !good {
			continue
		}
		if _, twice := bans[target]; twice {
			r.errorAt(item.key.rng, "Expected twice", fmt.Sprintf("A ban of %s is already expected here.", target))
		}
		if term, ok := r.term(t); ok {
			bans[target] = term
		}
	}
}

// target reads an address or a network. An address is widened as the rule would
// widen it; a network stands for itself.
func (l *loader) target(t text, network rule.Network) (netip.Prefix, bool) {
	if prefix, ok := l.network(t); !ok || slices.Contains([]byte(t.string), '/') {
		return prefix, ok
	}
	addr, _, _ := event.ParseAddr(t.string)
	if widened, ok := network.Of(addr); ok {
		return widened, true
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// decodeExpectedAlerts reads `alerts = ["203.0.113.7"]`, one alert for each time
// that it stands there, or `alerts = { "203.0.113.7" = 2 }`.
func (r *ruleBlock) decodeExpectedAlerts(attr *hcl.Attribute, alerts map[netip.Prefix]int) {
	single := rule.Network{V4: 32, V6: 128}
	if _, diags := hcl.ExprMap(attr.Expr); !diags.HasErrors() {
		items, _ := r.pairs(attr.Expr)
		for _, item := range items {
			target, ok := r.target(item.key, single)
			n, good := r.asWholeNumber(item.val, 1, maxTimes)
			if ok && good {
				alerts[target] += n
			}
		}
	} else {
		list, _ := r.texts(attr.Expr)
		for _, t := range list {
			if target, ok := r.target(t, single); ok {
				alerts[target]++
			}
		}
	}
	if len(alerts) > 0 && r.spec.Alert == nil && r.spec.Brake == nil && !r.cfg.Security.Protect.Registered {
		r.errorAt(attr.Range, "Rule without alerts", "An alert is expected here, but this rule has neither an alert block nor a brake, and security.protect does not list \"registered\".")
	}
}
