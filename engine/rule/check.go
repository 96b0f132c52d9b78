package rule

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
	"freeswitch-security/engine/rule/spelling"
)

// functions are those that an expression may call. Each takes time linear in bounded
// texts, and none reads a clock.
var functions = []string{
	"lower", "upper", "trim", "trimPrefix", "trimSuffix", "hasPrefix", "hasSuffix", "len", "indexOf",
	"int", "float", "string", "abs", "in_network",
}

// timeMethods are the methods of `time`, in the time zone of the event's source.
var timeMethods = []string{"Year", "Day", "Weekday", "Hour", "Minute", "Second", "Unix"}

// WithoutDatabase is the summary of a problem with a field that [Vocabulary.Unset] names.
const WithoutDatabase = "Field without a database"

// operators are the binary operators that an expression may use.
var operators = map[string]bool{
	"or": true, "||": true, "and": true, "&&": true, "==": true, "!=": true,
	"<": true, ">": true, "<=": true, ">=": true, "in": true,
	"matches": true, "contains": true, "startsWith": true, "endsWith": true,
	"+": true, "-": true, "*": true, "/": true, "%": true,
}

// A checker walks the tree of an expression and collects problems. It does not look
// into what it refuses, except for the arguments of calls.
type checker struct {
	known    Vocabulary
	text     []rune
	tokens   []lexer.Token   // of the expression
	names    map[string]bool // identifiers seen
	steps    int             // of all patterns
	problems []Problem
}

// problem reports a problem over the text of a node.
func (c *checker) problem(n ast.Node, summary, format string, args ...any) {
	from, to := span(n, c.tokens)
	c.problemAt(file.Location{From: from, To: to}, summary, format, args...)
}

func (c *checker) problemAt(at file.Location, summary, format string, args ...any) {
	p := Problem{From: at.From, To: at.To, Summary: summary, Detail: fmt.Sprintf(format, args...)}
	// The middle of a < b < c is in the tree twice.
	if !slices.Contains(c.problems, p) {
		c.problems = append(c.problems, p)
	}
}

func (c *checker) check(n ast.Node) {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
	case *ast.IdentifierNode:
		c.identifier(n)
		if n.Value == "fields" { // as a whole: its length, or a name that is not constant
			c.names[event.Raw("")] = true
		}
	case *ast.UnaryNode:
		c.check(n.Node)
		c.negated(n)
	case *ast.BinaryNode:
		c.binary(n)
	case *ast.MemberNode:
		c.member(n)
	case *ast.ArrayNode:
		for _, element := range n.Nodes {
			c.check(element)
		}
	case *ast.CallNode:
		c.call(n)
	case *ast.BuiltinNode:
		c.function(n.Location(), n.Name, n.Arguments)
	default:
		c.refuse(n)
	}
}

// refuse reports a construct of expr that is not part of the rule language.
func (c *checker) refuse(n ast.Node) {
	what, instead := "This", `Join comparisons with "and", "or" and "not".`
	switch n.(type) {
	case *ast.NilNode:
		what, instead = "nil", `A field that was not reported is the empty string: compare with "".`
	case *ast.ConditionalNode:
		what = "A conditional"
	case *ast.VariableDeclaratorNode:
		what, instead = "A variable", "Write the value where it is used."
	case *ast.SequenceNode:
		what = "A sequence"
	case *ast.SliceNode:
		what, instead = "A slice", "Use startsWith, endsWith or contains."
	case *ast.ChainNode:
		what, instead = "Optional chaining", "A missing field is the empty string already."
	case *ast.MapNode:
		what = "A map"
	}
	c.problem(n, "Not part of the language", "%s cannot be used in a rule. %s", what, instead)
}

func (c *checker) identifier(n *ast.IdentifierNode) {
	c.names[n.Value] = true
	switch {
	case slices.Contains(event.FieldNames, n.Value):
		if c.known.Unset == nil {
			return
		}
		if why := c.known.Unset(n.Value); why != "" {
			c.problem(n, WithoutDatabase, "%s", why)
		}
	case slices.Contains(c.known.Fields, n.Value):
		c.problem(n, "Unknown field", "%q is a raw field: write fields[%q].", n.Value, n.Value)
	case c.isEvent(n.Value):
		c.problem(n, "Unknown field", "%q is the name of an event: write event == '%[1]s'.", n.Value)
	default:
		c.problem(n, "Unknown field", "There is no field %q.%s", n.Value, c.meant(n.Value))
	}
}

// What an operator may write in place of a field, and where that stands.
const (
	noValue     = "A field that was not reported is the empty text: compare with ''."
	smallTrue   = "Write true or false in small letters."
	inThreshold = `How many matches fire the rule, within which time, stands in its threshold block: count = 5 and within = "10m".`
)

var elsewhere = map[string]string{
	"null": noValue, "NULL": noValue, "none": noValue, "None": noValue, "undefined": noValue, "empty": noValue,
	"True": smallTrue, "False": smallTrue, "TRUE": smallTrue, "FALSE": smallTrue,
	"count": inThreshold, "within": inThreshold, "attempts": inThreshold, "failures": inThreshold, "maxretry": inThreshold, "findtime": inThreshold,
}

// meant says what an unknown field is likely to be, with a space before it.
func (c *checker) meant(name string) string {
	if where := elsewhere[name]; where != "" {
		return " " + where
	}
	if strings.HasPrefix(name, "variable_") {
		return fmt.Sprintf(" A raw field is written fields['%s'].", name)
	}
	return event.MeantField(name)
}

func (c *checker) isEvent(name string) bool {
	return slices.Contains(event.Names, name) || slices.Contains(c.known.Events, name)
}

func (c *checker) binary(n *ast.BinaryNode) {
	if field := hyphenated(n); field != "" {
		c.problem(n, "Unknown field", "Write %s, with an underscore.", field)
		return
	}
	if !operators[n.Operator] {
		instead := "These can be used: " + strings.Join(slices.Sorted(maps.Keys(operators)), " ") + "."
		if n.Operator == ".." {
			instead = "Compare with both ends: port >= 5060 and port <= 5080."
		}
		c.problemAt(n.Location(), "Unknown operator", "The operator %q cannot be used in a rule. %s", n.Operator, instead)
		return
	}
	c.check(n.Left)
	key, ok := n.Left.(*ast.StringNode)
	if raw, is := n.Right.(*ast.IdentifierNode); ok && is && n.Operator == "in" && raw.Value == "fields" {
		c.identifier(raw)
		c.rawField(key)
		return
	}
	c.check(n.Right)
	c.operands(n)
	switch n.Operator {
	case "matches":
		c.pattern(n.Right)
	case "==", "!=":
		c.compared(n.Left, n.Right)
		c.compared(n.Right, n.Left)
	case "in":
		if array, ok := c.known.Locals.constant(n.Right).(*ast.ArrayNode); ok {
			for _, element := range array.Nodes {
				c.compared(n.Left, element)
			}
		}
	}
}

// hyphenated returns the field that is written with a hyphen, user-agent; "": there is none.
func hyphenated(n *ast.BinaryNode) string {
	left, is := n.Left.(*ast.IdentifierNode)
	right, too := n.Right.(*ast.IdentifierNode)
	if n.Operator == "-" && is && too && event.FieldNamed(left.Value+"_"+right.Value) != nil {
		return left.Value + "_" + right.Value
	}
	return ""
}

// compared checks a literal that is compared with a field: the field must be able to
// have that value.
func (c *checker) compared(field, value ast.Node) {
	literal, ok := c.known.Locals.constant(value).(*ast.StringNode)
	if !ok {
		return
	}
	switch {
	case identifies(field, "event") && !c.known.Open && !c.isEvent(literal.Value):
		names := slices.Concat(c.known.Events, event.Names)
		c.problem(literal, "Unknown event", "No source of this rule reports an event %q.%s",
			literal.Value, event.MeantEvent(literal.Value, names))
	case identifies(field, "ip") && literal.Value != "":
		c.address(literal)
	case literal.Value != "":
		c.value(field, literal)
	}
}

// value refuses a text that a field with few values never equals.
func (c *checker) value(field ast.Node, literal *ast.StringNode) {
	name, ok := field.(*ast.IdentifierNode)
	if !ok {
		return
	}
	f := event.FieldNamed(name.Value)
	switch {
	case f != nil && f.Values != nil && !slices.Contains(f.Values, literal.Value):
		c.problem(literal, "Never equal", "%s is never %q.%s It is one of: %s.",
			f.Name, literal.Value, event.DidYouMean(literal.Value, f.Values), strings.Join(f.Values, ", "))
	case name.Value == "destination_country" && !countryCode.Use().MatchString(literal.Value):
		c.problem(literal, "Never equal", `%s is never %q. It is the two capital letters of a country in ISO 3166, such as "DE", or "001" for international networks.`,
			f.Name, literal.Value)
	}
}

var countryCode = regex.New(`^([A-Z]{2}|001)$`)

// address refuses a text that `ip` never equals: a network, a name, or an address in
// another form than netip prints.
func (c *checker) address(literal *ast.StringNode) {
	if addr, err := netip.ParseAddr(literal.Value); err == nil {
		if plain := addr.Unmap().WithZone("").String(); plain != literal.Value {
			c.problem(literal, "Never equal", "Addresses are compared in their shortest form: write %q.", plain)
		}
		return
	}
	if _, err := netip.ParsePrefix(literal.Value); err == nil {
		c.problem(literal, "Never equal", "An address is never equal to a network: write in_network(ip, %q).", literal.Value)
		return
	}
	c.problem(literal, "Never equal", "%q is not an IP address. For a network write in_network(ip, \"192.0.2.0/24\").", literal.Value)
}

func (c *checker) pattern(n ast.Node) {
	literal, ok := c.known.Locals.constant(n).(*ast.StringNode)
	if !ok {
		c.problem(n, "Pattern not constant", "Write a regular expression in quotes, or use contains.")
		return
	}
	steps, err := patternSteps(literal.Value)
	if err != nil {
		reason := event.Bound(strings.TrimPrefix(err.Error(), "error parsing regexp: "), 128)
		c.problem(literal, "Invalid pattern", "The regular expression cannot be parsed: %s.%s", reason, spelling.Pattern(literal.Value))
		return
	}
	if flags.Use().MatchString(literal.Value) {
		c.problem(literal, "Invalid pattern", "The slashes are part of the pattern here. Write it without them, with (?i) if case does not matter: '(?i)scanner'.")
		return
	}
	if c.steps += steps; c.steps > maxSteps {
		c.problem(literal, "Pattern too large", "The patterns of this expression are too expensive together. "+
			"Avoid large repetitions such as a{1000}.")
	}
}

// flags is a pattern as other languages write it.
var flags = regex.New(`^/.+/[gimsx]+$`)

// patternSteps returns the size of a regular expression's program. A match takes at
// most that many steps per byte.
func patternSteps(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// member allows only fields["name"] and fields.name.
func (c *checker) member(n *ast.MemberNode) {
	if identifies(n.Node, "local") {
		c.local(n)
		return
	}
	raw, ok := n.Node.(*ast.IdentifierNode)
	if !ok || raw.Value != "fields" {
		c.problem(n, "Not part of the language", "%s", insteadOfMember(n))
		return
	}
	c.identifier(raw)
	key, ok := n.Property.(*ast.StringNode)
	if !ok {
		c.problem(n.Property, "Name not constant", `Write the name of a raw field in quotes.`)
		return
	}
	c.rawField(key)
}

// insteadOfMember says what to write in place of a member of a field.
func insteadOfMember(n *ast.MemberNode) string {
	name, ok := n.Property.(*ast.StringNode)
	switch {
	case ok && identifies(n.Node, "time"):
		return fmt.Sprintf("Methods of time have brackets: time.%s(). hour, weekday and night are simpler.", name.Value)
	case ok && (name.Value == "length" || name.Value == "len" || name.Value == "size"):
		return "The length of a text is len(user)."
	}
	return `Only "fields" and "local" have members. Use startsWith, endsWith or contains to look into a text.`
}

// local checks the name of a local.
func (c *checker) local(n *ast.MemberNode) {
	name, ok := n.Property.(*ast.StringNode)
	switch {
	case !ok:
		c.problem(n.Property, "Name not constant", "Write the name of a local: local.fraud_countries.")
	case c.known.Locals == nil:
	case c.known.Locals[name.Value] == nil:
		names := slices.Sorted(maps.Keys(c.known.Locals))
		c.problem(n, "Unknown local", "There is no local %q that is a text or a list of texts.%s", name.Value, event.DidYouMean(name.Value, names))
	}
}

func (c *checker) rawField(key *ast.StringNode) {
	c.names[event.Raw(key.Value)] = true
	if c.known.Fields != nil && !slices.Contains(c.known.Fields, key.Value) {
		c.problem(key, "Unknown field", "No source of this rule sets a raw field %q.%s",
			key.Value, event.DidYouMean(key.Value, c.known.Fields))
	}
}

func (c *checker) call(n *ast.CallNode) {
	method, ok := n.Callee.(*ast.MemberNode)
	if !ok {
		c.function(n.Location(), calleeName(n), n.Arguments)
		return
	}
	property, ok := method.Property.(*ast.StringNode)
	switch {
	case !ok || !identifies(method.Node, "time"):
		c.problem(n.Callee, "Not part of the language", "%s", insteadOfMethod(property))
	case !slices.Contains(timeMethods, property.Value):
		c.problem(property, "Unknown method", "These methods of time can be used: %s.", strings.Join(timeMethods, ", "))
	default:
		c.check(method.Node)
	}
	c.arguments(n.Arguments)
}

// insteadOfMethod says what to write in place of a method of a text. The name may be nil.
func insteadOfMethod(name *ast.StringNode) string {
	if name != nil {
		switch operator := spelling.Operator(name.Value); operator {
		case "contains", "startsWith", "endsWith", "matches":
			return fmt.Sprintf("%s is an operator, which stands between two texts: user_agent %[1]s 'scanner'.", operator)
		}
		if strings.HasPrefix(name.Value, "toLower") || name.Value == "lower" {
			return "Write lower(user_agent)."
		}
	}
	return `Only "time" has methods, such as time.Hour(). To look into a text write: user_agent contains 'scanner'.`
}

// function checks a call; at is the position of its name.
func (c *checker) function(at file.Location, name string, args []ast.Node) {
	c.arguments(args)
	if name == "in_network" {
		c.network(at, args)
		return
	}
	if slices.Contains(functions, name) {
		return
	}
	c.problemAt(at, "Unknown function", "%s", instead(name))
}

// instead says what to use in place of a function.
func instead(name string) string {
	switch name {
	case "all", "none", "any", "one", "filter", "map", "count", "sum", "find", "findIndex", "findLast",
		"findLastIndex", "groupBy", "sortBy", "reduce":
		return fmt.Sprintf("%q would make the time per event unbounded. Write the cases with \"in\", \"or\" and \"and\".", name)
	case "now", "date", "duration", "timezone":
		return fmt.Sprintf("%q cannot be used in a rule, which must decide the same in a replay. Use \"time\", the time of the event: time.Hour() >= 22.", name)
	case "lastIndexOf", "split", "splitAfter", "replace":
		return fmt.Sprintf("%q cannot be used in a rule. Use contains, startsWith, endsWith or matches.", name)
	}
	switch operator := spelling.Operator(name); operator {
	case "":
	case "and", "or", "not":
		return fmt.Sprintf("The operator %q is written %s.", name, operator)
	default:
		return fmt.Sprintf("%q is an operator, which stands between two texts: user_agent %[1]s 'scanner'.", operator)
	}
	if guess := event.Nearest(name, functions); guess != "" {
		return fmt.Sprintf("There is no function %q. Did you mean %q?", name, guess)
	}
	return fmt.Sprintf("There is no function %q. These can be used: %s.", name, strings.Join(functions, ", "))
}

func (c *checker) arguments(args []ast.Node) {
	for _, arg := range args {
		if _, ok := arg.(*ast.PredicateNode); !ok {
			c.check(arg)
		}
	}
}

func (c *checker) network(at file.Location, args []ast.Node) {
	const usage = `Write in_network(ip, "10.0.0.0/8"), or in_network(ip, local.offices) for a list.`
	if len(args) != 2 {
		c.problemAt(at, "Wrong arguments", "in_network takes an address and a network. %s", usage)
		return
	}
	literals, ok := c.known.Locals.texts(args[1])
	if !ok {
		c.problem(args[1], "Network not constant", "The second argument is a network in quotes, or a list of such. %s", usage)
		return
	}
	for _, literal := range literals {
		if _, err := ban.ParseNetwork(literal.Value); err != nil {
			c.problem(literal, "Invalid network", "%q is neither a network nor an address. %s", event.Bound(literal.Value, 64), usage)
		}
	}
}

func identifies(n ast.Node, name string) bool {
	identifier, ok := n.(*ast.IdentifierNode)
	return ok && identifier.Value == name
}

// calleeName returns the name of a called function, "" for a method.
func calleeName(call *ast.CallNode) string {
	if callee, ok := call.Callee.(*ast.IdentifierNode); ok {
		return callee.Value
	}
	return ""
}
