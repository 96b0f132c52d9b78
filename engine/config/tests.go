package config

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxTimes bounds how often one report of a test is repeated.
const maxTimes = 100_000

// eventFields are the attributes of a given block that are fields of its event.
// The time comes from `at` and `every`, the source is a reference. No test reads a database of addresses.
var eventFields = slices.DeleteFunc(slices.Clone(event.FieldNames), func(name string) bool {
	f := event.FieldNamed(name)
	return !f.Settable && f.Needs == ""
})

// decodeTests reads the test blocks of the rule.
func (r *ruleBlock) decodeTests(blocks []*settings.Block) {
	taken := map[string]hcl.Range{}
	for _, b := range blocks {
		label := b.Labels[0]
		name(b)
		if first, twice := taken[label]; twice {
			definedTwice(b, fmt.Sprintf("The test %q of this rule", label), first)
		}
		taken[label] = b.Range
		test := Test{
			Rule: r.spec.Name, Name: label, Where: settings.Where(b.Range),
			Bans: map[ban.Target]ban.Term{}, Alerts: map[ban.Target]int{},
		}
		if site := b.One("numbering"); site != nil {
			test.Site = decodeSite(site)
		}
		tests := &r.tests
		for _, given := range b.Blocks("given") {
			g := r.decodeGiven(given)
			test.Given = append(test.Given, g)
			if g.Source == "" || g.Event != nil && g.Event.Name == event.Registered && len(sourcesOf(r.cfg, event.Registered)) == 0 {
				tests = &r.skipped
			}
		}
		if len(test.Given) == 0 {
			b.Error("", "Empty test", "Write what is reported in this test: given { event = \"auth_failure\" … }.")
		}
		r.decodeExpectedBans(b, test.Bans)
		r.decodeExpectedAlerts(b, test.Alerts)
		*tests = append(*tests, test)
	}
}

// decodeGiven reads one given block.
func (r *ruleBlock) decodeGiven(b *settings.Block) Given {
	g := Given{Times: 1, Every: time.Second, Where: settings.Where(b.Range), Event: &event.Event{}}
	r.decodeGivenSource(b, &g)
	b.Int("times", &g.Times, 1, maxTimes)
	b.Duration("every", &g.Every, 0, longest)
	if g.Every > ban.MaxDuration/time.Duration(g.Times) {
		b.Error("", "Test too long", fmt.Sprintf("These reports take longer than %s.", ban.FormatDuration(ban.MaxDuration)))
	}
	g.At = decodeAt(b)
	decodeNode(b, &g)
	r.decodeEvent(b, &g)
	line, read := b.Text("line")
	right := b.Done()
	switch {
	case !b.Has("line"):
		if !b.Has("event") && right {
			b.Error("", "Nothing given", "Write what is reported: event = \"auth_failure\", or the line as the source reads it.")
		}
		return g
	case b.Has("event"):
		b.ErrorAt(b.Attribute("line").Range, "Line and event", "Give either the event or the line that reports it.")
		return g
	case read && line.Value == "":
		b.Error("line", "Empty line", "Give the line as the source reads it.")
	}
	for _, name := range slices.Concat(eventFields, []string{"fields"}) {
		if attr := b.Attribute(name); attr != nil {
			b.ErrorAt(attr.NameRange, "Line and field", "The source takes every field from the line. Remove this one, or give an event instead of the line.")
		}
	}
	g.Line, g.Event, g.IP = line.Value, nil, ""
	return g
}

// decodeNode reads at which node of a fleet something is given.
func decodeNode(b *settings.Block, g *Given) {
	if t, ok := b.Text("node"); ok {
		if g.Node = t.Value; !IsNode(t.Value) {
			b.ErrorAt(t.Range, "Invalid node", "The name of a node has 1 to 32 letters, digits, _ or -.")
		}
	}
}

// decodeAt reads when the first report of a test comes: "90s" after its start, or "Tue 03:00".
func decodeAt(b *settings.Block) *time.Duration {
	t, ok := b.Text("at")
	if !ok {
		return nil
	}
	if strings.Contains(t.Value, ":") {
		var at time.Duration
		if !settings.Parse(b, t, &at, numbering.ParseMoment, "Invalid time", `a day and a time, such as "Tue 03:00"`) {
			return nil
		}
		at = numbering.SinceTestStart(at)
		return &at
	}
	var at time.Duration
	if !b.Duration("at", &at, 0, longest) {
		return nil
	}
	return &at
}

// decodeGivenSource reads which source reports: by default the first one of the rule. Of
// a list it is the first that is enabled.
func (r *ruleBlock) decodeGivenSource(b *settings.Block, g *Given) {
	enabled := r.spec.On
	if refs, ok := r.sourceRefs(b, "source"); ok {
		enabled = r.enabled(refs)
		for _, ref := range refs {
			if r.whole && !slices.Contains(r.on, ref) {
				b.Error("source", "Source of another rule", fmt.Sprintf("This rule does not listen to source.%s, so its reports can show nothing.", ref))
				break
			}
		}
	}
	if len(enabled) > 0 {
		g.Source = enabled[0]
	}
	g.Event.Source = g.Source
}

// decodeEvent makes the event that is reported.
func (r *ruleBlock) decodeEvent(b *settings.Block, g *Given) {
	for _, name := range b.Written(eventFields) {
		t, ok := b.Text(name)
		if !ok {
			continue
		}
		if name == "ip" && strings.Contains(t.Value, Repetition) {
			g.IP = t.Value
			t.Value = strings.ReplaceAll(t.Value, Repetition, strconv.Itoa(g.Times)) // the highest there will be
		}
		if err := g.Event.Restore(name, t.Value); err != nil {
			b.Invalid(t, "Invalid "+name, err, "an address, a port or a flag, as its name says")
		}
		if name == "event" {
			r.checkEventName(b, t)
		}
	}
	r.decodeFields(b, g.Event)
}

// checkEventName refuses an event that no source of the rule reports.
func (r *ruleBlock) checkEventName(b *settings.Block, t settings.Text) {
	known := r.events
	if !r.whole || slices.Contains(known, t.Value) {
		return
	}
	err := fmt.Errorf("there is no event %q.%s", t.Value, event.DidYouMean(t.Value, known))
	b.Invalid(t, "Unknown event", err, "the name of an event")
}

// decodeFields reads the raw fields of an event.
func (r *ruleBlock) decodeFields(b *settings.Block, ev *event.Event) {
	items, _ := b.Pairs("fields")
	if len(items) == 0 {
		return
	}
	known := r.raw()
	if slices.Contains(event.Names, ev.Name) && !slices.Contains(r.names, ev.Name) {
		known = nil // another source reports it
	}
	for _, item := range items {
		if ev.Fields == nil {
			ev.Fields = map[string]string{}
		}
		if known != nil && !slices.Contains(known, item.Key.Value) {
			err := fmt.Errorf("no source of this rule sets a raw field %q.%s", item.Key.Value, event.DidYouMean(item.Key.Value, known))
			b.Invalid(item.Key, "Unknown raw field", err, "the name of a raw field")
		}
		ev.Fields[item.Key.Value] = event.Bound(item.Value.Value, event.MaxField)
	}
}

// decodeExpectedBans reads `bans = { "203.0.113.7" = "10m" }`.
func (r *ruleBlock) decodeExpectedBans(b *settings.Block, bans map[ban.Target]ban.Term) {
	items, _ := b.Pairs("bans")
	network := rule.Host
	if r.spec.Ban != nil {
		network = r.spec.Ban.Network
	} else if len(items) > 0 {
		b.ErrorAt(b.Attribute("bans").Range, "Rule without bans", "A ban is expected here, but this rule has no ban block.")
	}
	for _, item := range items {
		target, ok := r.target(b, item.Key, network)
		if !ok {
			continue
		}
		if _, twice := bans[target]; twice {
			b.ErrorAt(item.Key.Range, "Expected twice", fmt.Sprintf("A ban of %s is already expected here.", target))
		}
		var expected ban.Term
		if term(b, item.Value, &expected) {
			bans[target] = expected
		}
	}
}

// target reads an address, a network or an account. An address is widened as the rule would
// widen it; the others stand for themselves.
func (r *ruleBlock) target(b *settings.Block, t settings.Text, widen rule.Network) (target ban.Target, ok bool) {
	if strings.Contains(t.Value, "@") {
		ok = settings.Parse(b, t, &target, ban.ParseTarget, "Not an account", `an account, such as "1000@pbx.example"`)
		return target, ok
	}
	prefix, ok := r.network(b, t)
	if widened, wider := widen.Of(prefix.Addr(), r.spec.NAT64); ok && wider && !strings.Contains(t.Value, "/") {
		prefix = widened
	}
	return ban.Network(prefix), ok
}

// decodeExpectedAlerts reads `alerts = ["203.0.113.7"]`, one alert for each time
// that it stands there, or `alerts = { "203.0.113.7" = 2 }`.
func (r *ruleBlock) decodeExpectedAlerts(b *settings.Block, alerts map[ban.Target]int) {
	attr := b.Attribute("alerts")
	if attr == nil {
		return
	}
	var expected []settings.Pair
	if _, diags := hcl.ExprMap(attr.Expr); !diags.HasErrors() {
		expected, _ = b.Pairs("alerts")
	} else {
		list, _ := b.Texts("alerts")
		for _, t := range list {
			expected = append(expected, settings.Pair{Key: t, Value: settings.Text{Value: "1"}})
		}
	}
	for _, one := range expected {
		target, ok := r.target(b, one.Key, rule.Network{V4: 32, V6: 128})
		n, err := strconv.Atoi(one.Value.Value)
		if err != nil || n < 1 || n > maxTimes {
			b.ErrorAt(one.Value.Range, "Invalid number", fmt.Sprintf("A whole number from 1 to %d is expected here.", maxTimes))
		} else if ok {
			alerts[target] += n
		}
	}
}

// withoutTests empties the lines of the test blocks of a file, so that all others keep their numbers. What
// it is not sure of stays as it is: a block that shares its first or last line with something else, and
// whole files with a long comment, or with a heredoc that is a template. A file hides a rule if one is in a
// heredoc of a test, as if the end of that was forgotten; it stays as it is too.
func withoutTests(src []byte) (out []byte, hides bool) {
	if bytes.Contains(src, []byte("/*")) {
		return src, false
	}
	out = make([]byte, 0, len(src))
	depth, outside := 0, -1 // of brackets; outside the test block, -1: there is none
	heredoc := ""           // the word that ends it
	for line := range bytes.Lines(src) {
		text := strings.TrimSpace(string(line))
		if heredoc != "" {
			if strings.Contains(text, "${") || strings.Contains(text, "%{") {
				return src, false
			}
			if outside >= 0 && strings.HasPrefix(text, `rule "`) {
				return src, true
			}
			if text == heredoc {
				heredoc = ""
			}
		} else {
			if name, isTest := strings.CutPrefix(text, `test "`); isTest && outside < 0 && depth == 1 && strings.HasSuffix(name, `" {`) {
				outside = depth
			}
			var sure bool
			if depth, heredoc, sure = brackets(strings.TrimRight(string(line), "\r\n"), depth); !sure {
				return src, false
			}
		}
		if outside < 0 {
			out = append(out, line...)
			continue
		}
		out = append(out, '\n')
		if heredoc == "" && depth <= outside {
			if text != "}" {
				return src, false
			}
			outside = -1
		}
	}
	return out, false
}

// brackets counts the brackets that are open behind a line, and returns the word that ends the heredoc
// that begins in it. It is not sure of a line with a template in quotes.
func brackets(line string, depth int) (open int, heredoc string, sure bool) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
			if (c == '$' || c == '%') && strings.HasPrefix(line[i+1:], "{") {
				return 0, "", false
			}
		case c == '#', c == '/' && strings.HasPrefix(line[i:], "//"):
			return depth, "", true
		case c == '{' || c == '[' || c == '(':
			depth++
		case c == '}' || c == ']' || c == ')':
			depth--
		case c == '<' && strings.HasPrefix(line[i:], "<<"):
			word := strings.TrimPrefix(line[i+2:], "-")
			return depth, word, hclsyntax.ValidIdentifier(word)
		}
	}
	return depth, "", !quoted
}
