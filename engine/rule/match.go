package rule

import (
	"errors"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"freeswitch-security/engine/event"
)

// Bounds of one expression: in bytes of text, in nodes of its tree, and in steps
// of its patterns for each byte of what they look at.
const (
	maxExpression = 16 << 10
	maxNodes      = 1000
	maxSteps      = 5000
)

// A Vocabulary is what an expression may speak of.
type Vocabulary struct {
	Events []string // what `event` can be, beside event.Names
	Fields []string // the keys that `fields` can have; nil: not known beforehand
}

// A Matcher is a compiled expression over one event. It may be shared between
// goroutines; a vm.VM may not.
type Matcher struct {
	text    string
	root    ast.Node // as parsed, before the optimizer
	program *vm.Program
	events  map[string]bool
	names   map[string]bool // identifiers
}

// Compile checks an expression and compiles it. All mistakes that can be found
// together come back together, in the order of the text; the matcher is nil if
// there is one.
//
// What passes is bounded work per event: no loops, no calls but the few that
// [functions] names, no pattern that is not compiled here.
func Compile(expression string, known Vocabulary) (*Matcher, []Problem) {
	whole := Problem{To: utf8.RuneCountInString(expression)}
	switch {
	case strings.TrimSpace(expression) == "":
		whole.Summary = "Empty expression"
		whole.Detail = "Write a condition, such as: event == 'auth_failure'"
		return nil, []Problem{whole}
	case len(expression) > maxExpression:
		whole.Summary = "Expression too long"
		whole.Detail = "An expression has at most 16 KB. Long lists of addresses belong into a source or a trusted block."
		return nil, []Problem{whole}
	case !utf8.ValidString(expression):
		whole.Summary = "Invalid expression"
		whole.Detail = "The expression is not valid UTF-8."
		return nil, []Problem{whole}
	}
	tree, err := parser.ParseWithConfig(expression, newConfig())
	if err != nil {
		return nil, []Problem{problemOf(err, whole)}
	}
	if size(tree.Node, 2*maxNodes, map[ast.Node]int{}) > 2*maxNodes {
		whole.Summary = "Expression too large"
		whole.Detail = "Chains of comparisons, such as 1 < port < 5, cannot be nested so deeply. " +
			"Join single comparisons by \"and\"."
		return nil, []Problem{whole}
	}
	c := checker{known: known, names: map[string]bool{}, tokens: tokensOf(expression)}
	c.check(tree.Node)
	if len(c.problems) > 0 {
		slices.SortStableFunc(c.problems, func(a, b Problem) int { return a.From - b.From })
		return nil, c.problems
	}
	program, err := expr.Compile(expression, options...)
	if err != nil {
		return nil, []Problem{problemOf(err, whole)}
	}
	m := &Matcher{text: expression, root: tree.Node, program: program, names: c.names, events: eventNames(tree.Node)}
	if m.events != nil && len(m.events) == 0 {
		whole.Summary = "Expression never matches"
		whole.Detail = "No event has two names: join the comparisons of \"event\" by \"or\"."
		return nil, []Problem{whole}
	}
	return m, nil
}

// String gives the expression's text.
func (m *Matcher) String() string { return m.text }

// Events are the names of the events that can match; nil: any. The caller must
// not change it.
func (m *Matcher) Events() map[string]bool { return m.events }

// Uses reports whether the expression speaks of the named field.
func (m *Matcher) Uses(field string) bool { return m.names[field] }

// NamesRepeat reports whether the expression speaks of `repeat`, and so wants to
// see the events that other rules skip.
func (m *Matcher) NamesRepeat() bool { return m.Uses("repeat") }

// Match evaluates the expression over an environment that [NewEnv] made. It
// fails where an operation does: int("x"), a division by zero.
func (m *Matcher) Match(machine *vm.VM, env any) (bool, error) {
	out, err := machine.Run(m.program, env)
	if err != nil {
		return false, errors.New(printable(firstLine(err))) // it quotes the event
	}
	matched, ok := out.(bool)
	if !ok {
		return false, errors.New("the result is not true or false")
	}
	return matched, nil
}

// options are how every expression is compiled.
var options = []expr.Option{
	expr.Env(environment{}),
	expr.AsBool(), expr.WarnOnAny(),
	expr.MaxNodes(maxNodes),
	expr.Function("in_network", inNetwork, new(func(string, netip.Prefix) bool)),
	expr.Patch(constantNetworks{}),
}

// newConfig is what options amount to, for the parser alone.
func newConfig() *conf.Config {
	config := conf.CreateNew()
	for _, option := range options {
		option(config)
	}
	return config
}

// inNetwork is in_network(ip, "10.0.0.0/8"), with the network parsed already.
func inNetwork(args ...any) (any, error) {
	addr, err := netip.ParseAddr(args[0].(string))
	return err == nil && args[1].(netip.Prefix).Contains(addr), nil
}

// constantNetworks replaces the literal in each call of in_network by what it
// stands for, so that no event has to parse it. The checker has seen to it that
// it is one.
type constantNetworks struct{}

func (constantNetworks) Visit(node *ast.Node) {
	call, ok := (*node).(*ast.CallNode)
	if !ok || calleeName(call) != "in_network" || len(call.Arguments) != 2 {
		return
	}
	literal, ok := call.Arguments[1].(*ast.StringNode)
	if !ok {
		return
	}
	if network, err := parseNetworkLiteral(literal.Value); err == nil {
		constant := &ast.ConstantNode{Value: network}
		constant.SetType(reflect.TypeFor[netip.Prefix]())
		ast.Patch(&call.Arguments[1], constant)
	}
}

// parseNetworkLiteral reads a network or a single address. Host bits are cut
// off, and an IPv4-mapped network is the IPv4 network, as addresses of events
// are.
func parseNetworkLiteral(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// problemOf turns an error of expr into a problem, over the whole expression
// where expr does not say where.
func problemOf(err error, whole Problem) Problem {
	p := whole
	p.Summary = "Invalid expression"
	message := firstLine(err)
	var at *file.Error
	switch {
	case errors.As(err, &at):
		p.From, p.To = within(at.From, at.To, whole.To)
		message = firstLine(errors.New(at.Message))
	case strings.HasPrefix(message, "expected bool"):
		p.Summary = "Not a condition"
		message = "the expression must be true or false: compare, as in user == '1000'"
	}
	p.Detail = sentence(inOurWords(message))
	return p
}

// quotedToken is how expr's parser names a token in its messages.
var quotedToken = regexp.MustCompile(`[A-Z][a-z]+\(("[^"]*")\)`)

// inOurWords adds to the messages of expr what an operator needs to know.
func inOurWords(message string) string {
	message = strings.Replace(message, "unexpected token EOF", "unexpected end of the expression", 1)
	message = strings.TrimSpace(quotedToken.ReplaceAllString(message, "$1"))
	switch {
	case message == `unexpected token "="`:
		return message + ": compare with =="
	case strings.Contains(message, "mismatched types time.Weekday"):
		return message + ": write int(time.Weekday()), where 0 is Sunday"
	}
	return message
}

// within keeps a range inside a text of n runes, and at least one rune wide: an
// unexpected end lies behind the last one.
func within(from, to, n int) (int, int) {
	from = max(0, min(from, n-1))
	return from, max(from+1, min(to, n))
}

// firstLine cuts off the snippet, and what else may follow: expr has been seen
// to append a stack trace.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return event.Bound(strings.ToValidUTF8(line, "?"), event.MaxText)
}

func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
