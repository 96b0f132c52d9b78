package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
	"github.com/gaissmai/bart"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule/spelling"
)

// Bounds of one expression: bytes of text, nodes of its tree, and steps of its patterns
// for each byte of input.
const (
	maxExpression = 16 << 10
	maxNodes      = 1000
	maxSteps      = 5000
)

// A Vocabulary has the names that an expression may use.
type Vocabulary struct {
	Events []string // values of `event`, beside event.Names
	Fields []string // keys of `fields`; nil: not known beforehand
	Open   bool     // there may be other events
	Locals Locals   // values of `local`; nil: not known, and of no effect

	// Unset says why the engine does not set a field; "": it does. nil: it sets all.
	Unset func(field string) string
}

// Locals are the values of `local` by name: a text, or a list of texts.
type Locals map[string]any

// constant returns what a node stands for: a local's value, or the node itself.
func (l Locals) constant(n ast.Node) ast.Node {
	member, ok := n.(*ast.MemberNode)
	if !ok || !identifies(member.Node, "local") {
		return n
	}
	literal := func(text string) ast.Node {
		n := &ast.StringNode{Value: text}
		n.SetLocation(file.Location{From: member.Node.Location().From, To: member.Property.Location().To}) // for problems
		return n
	}
	list := &ast.ArrayNode{}
	if name, ok := member.Property.(*ast.StringNode); ok {
		switch value := l[name.Value].(type) {
		case string:
			return literal(value)
		case []string:
			for _, text := range value {
				list.Nodes = append(list.Nodes, literal(text))
			}
		}
	}
	return list
}

// texts returns the texts that a node stands for: one, or those of a list.
func (l Locals) texts(n ast.Node) (texts []*ast.StringNode, ok bool) {
	nodes := []ast.Node{l.constant(n)}
	if array, list := nodes[0].(*ast.ArrayNode); list {
		nodes = array.Nodes
	}
	for _, n := range nodes {
		text, ok := n.(*ast.StringNode)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// networksOf returns the networks that a node stands for; nil if it does not.
func networksOf(locals Locals, n ast.Node) *bart.Lite {
	texts, ok := locals.texts(n)
	if !ok {
		return nil
	}
	set := &bart.Lite{}
	for _, text := range texts {
		network, err := ban.ParseNetwork(text.Value)
		if err != nil {
			return nil
		}
		set.Insert(network)
	}
	return set
}

// Visit implements [ast.Visitor]: it replaces each local by its value.
func (l Locals) Visit(node *ast.Node) {
	if constant := l.constant(*node); constant != *node {
		ast.Patch(node, constant)
	}
}

// A Matcher is a compiled expression over one event. Goroutines may share it.
type Matcher struct {
	text    string
	root    ast.Node // as parsed, before the optimizer
	locals  Locals
	direct  condition   // nil: program decides
	program *vm.Program // nil: direct decides
	events  map[string]bool
	names   map[string]bool // identifiers, and raw fields as of [event.Raw]

	usesRepeat, usesAnswer bool
}

// Compile checks and compiles an expression. It returns a matcher or all problems that
// it finds together, in the order of the text.
//
// Invariant: a compiled expression takes bounded time per event. It has no loops, no
// calls except those of [functions], and no pattern that is not constant.
func Compile(expression string, known Vocabulary) (*Matcher, []Problem) {
	whole := Problem{To: utf8.RuneCountInString(expression)}
	refuse := func(summary, detail string) (*Matcher, []Problem) {
		whole.Summary, whole.Detail = summary, detail
		return nil, []Problem{whole}
	}
	switch {
	case strings.TrimSpace(expression) == "":
		return refuse("Empty expression", "Write a condition, such as: event == 'auth_failure'")
	case len(expression) > maxExpression:
		return refuse("Expression too long", "An expression has at most 16 KB. Put a long list of addresses into a feed or a trusted block.")
	case !utf8.ValidString(expression):
		return refuse("Invalid expression", "The expression is not valid UTF-8.")
	}
	tree, err := parser.ParseWithConfig(expression, parserConfig())
	if err != nil {
		return nil, []Problem{problemOf(err, expression, whole)}
	}
	if !walksWithin(2*maxNodes, tree.Node) {
		return refuse("Expression too large", "Chains of comparisons, such as 1 < port < 5, are nested too deeply. Join single comparisons with \"and\".")
	}
	c := checker{known: known, names: map[string]bool{}, text: []rune(expression), tokens: tokensOf(expression)}
	c.check(tree.Node)
	c.condition(tree.Node)
	if len(c.problems) > 0 {
		slices.SortStableFunc(c.problems, func(a, b Problem) int { return a.From - b.From })
		return nil, c.problems
	}
	m := &Matcher{
		text: expression, root: tree.Node, locals: known.Locals, names: c.names, events: eventNames(tree.Node),
		usesRepeat: c.names["repeat"], usesAnswer: c.names["answer"],
	}
	compiled := patterns{}
	if m.direct = (translator{known.Locals, compiled}).condition(tree.Node); m.direct == nil {
		if m.program, err = expr.Compile(expression, optionsWith(known.Locals, compiled)...); err != nil {
			return nil, []Problem{problemOf(err, expression, whole)}
		}
	}
	if m.events != nil && len(m.events) == 0 {
		return refuse("Expression never matches", "No event has two names: join the comparisons of \"event\" with \"or\".")
	}
	return m, nil
}

// String returns the text of the expression.
func (m *Matcher) String() string { return m.text }

// Events returns the names of the events that can match; nil: any. The caller must not
// change the map.
func (m *Matcher) Events() map[string]bool { return m.events }

// Uses reports whether the expression names a field.
func (m *Matcher) Uses(field string) bool { return m.names[field] }

// skips reports whether the expression is not evaluated: the event repeats a report. One that
// names answer sees the report again once there is an answer.
func (m *Matcher) skips(ev *event.Event) bool {
	return ev.Repeat && !m.usesRepeat && (ev.Answer == 0 || !m.usesAnswer)
}

// Match evaluates the expression. It fails where an operation does, such as int("x") or a division
// by zero.
func (m *Matcher) Match(ev *event.Event) (bool, error) {
	if m.direct != nil {
		return m.direct(ev), nil
	}
	out, err := expr.Run(m.program, environmentOf(ev, m.names))
	if err != nil {
		return false, errors.New(event.Printable(firstLine(err))) // it may quote the event
	}
	matched, ok := out.(bool)
	if !ok {
		return false, errors.New("the result is not true or false")
	}
	return matched, nil
}

// environmentOf returns what expr reads of an event: the named fields, or all for nil.
func environmentOf(ev *event.Event, names map[string]bool) map[string]any {
	env := map[string]any{}
	for i := range event.Fields {
		f := &event.Fields[i]
		if names != nil && !names[f.Name] {
			continue
		}
		switch f.Kind {
		case event.Number:
			env[f.Name] = f.Number(ev)
		case event.Flag:
			env[f.Name] = f.Flag(ev)
		case event.Time:
			env[f.Name] = ev.Time
		case event.Map:
			env[f.Name] = ev.Fields
		default:
			env[f.Name] = f.Get(ev)
		}
	}
	return env
}

// options are those of every compilation.
var options = []expr.Option{
	expr.Env(environmentOf(&event.Event{}, nil)),
	expr.AsBool(), expr.WarnOnAny(),
	expr.MaxNodes(maxNodes),
	expr.Function("in_network", inNetwork, new(func(string, *bart.Lite) bool)),
	expr.Patch(constantNetworks{}),
	expr.Function(matchesPattern, matchPattern, new(func(string, *pattern) bool)),
}

// optionsWith returns the options of an expression with locals. They are replaced first: they may be patterns.
func optionsWith(locals Locals, patterns patterns) []expr.Option {
	return append(append([]expr.Option{expr.Patch(locals)}, options...), expr.Patch(patterns))
}

// parserConfig returns the options for the parser, which does not change them.
var parserConfig = sync.OnceValue(func() *conf.Config {
	config := conf.CreateNew()
	for _, option := range options {
		option(config)
	}
	return config
})

// inNetwork is in_network(ip, "10.0.0.0/8") with the networks parsed.
func inNetwork(args ...any) (any, error) {
	addr, err := netip.ParseAddr(args[0].(string))
	return err == nil && args[1].(*bart.Lite).Contains(addr), nil
}

// constantNetworks replaces the literals in each call of in_network by a set of networks, so that
// they are parsed once. The checker has checked them.
type constantNetworks struct{}

func (constantNetworks) Visit(node *ast.Node) {
	call, ok := (*node).(*ast.CallNode)
	if !ok || calleeName(call) != "in_network" || len(call.Arguments) != 2 {
		return
	}
	if set := networksOf(nil, call.Arguments[1]); set != nil {
		constant := &ast.ConstantNode{Value: set}
		constant.SetType(reflect.TypeFor[*bart.Lite]())
		ast.Patch(&call.Arguments[1], constant)
	}
}

// problemOf converts an error of expr. Its range is the whole expression unless expr
// tells a narrower one.
func problemOf(err error, expression string, whole Problem) Problem {
	p := whole
	p.Summary = "Invalid expression"
	message := firstLine(err)
	var at *file.Error
	switch {
	case errors.As(err, &at):
		p.From, p.To = within(at.From, at.To, whole.To)
		message = firstLine(errors.New(at.Message))
		if strings.Contains(message, "mismatched types time.Weekday") {
			message += ": write weekday == 'Sun', or int(time.Weekday()), where 0 is Sunday"
			break
		}
		if strings.Contains(message, "exceeds maximum allowed nodes") {
			p.Summary = "Expression too large"
			message = fmt.Sprintf("an expression has at most %d names, texts and operators: put a long list into locals", maxNodes)
			break
		}
		m := spelling.Explain(expression, spelling.Mistake{From: p.From, To: p.To, Detail: message})
		p.From, p.To, message = m.From, max(m.From+1, min(m.To, whole.To)), m.Detail
	case strings.HasPrefix(message, "expected bool"):
		p.Summary = "Not a condition"
		message = "the expression must be true or false: compare, as in user == '1000'"
	}
	p.Detail = spelling.Sentence(message)
	return p
}

// within limits a range to a text of n runes, and makes it at least one rune wide: an
// unexpected end is behind the last one.
func within(from, to, n int) (int, int) {
	from = max(0, min(from, n-1))
	return from, max(from+1, min(to, n))
}

// firstLine cuts off the snippet of source text and a stack trace, which expr may add.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return event.Bound(strings.ToValidUTF8(line, "?"), event.MaxText)
}
