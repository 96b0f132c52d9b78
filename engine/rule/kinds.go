package rule

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/expr-lang/expr/ast"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
)

// list is the kind of several values. The others are those of fields.
const list event.Kind = "list"

// kindOf returns the kind of a node's value, "" if it is not known.
func (c *checker) kindOf(n ast.Node) event.Kind {
	if member, ok := n.(*ast.MemberNode); ok && identifies(member.Node, "local") && !c.isKnown(member) {
		return ""
	}
	switch n := c.known.Locals.constant(n).(type) {
	case *ast.StringNode:
		return event.Text
	case *ast.IntegerNode, *ast.FloatNode:
		return event.Number
	case *ast.BoolNode:
		return event.Flag
	case *ast.ArrayNode:
		return list
	case *ast.IdentifierNode:
		if f := event.FieldNamed(n.Value); f != nil && f.Kind == event.Address {
			return event.Text
		} else if f != nil {
			return f.Kind
		}
	case *ast.MemberNode:
		if identifies(n.Node, "fields") {
			return event.Text
		}
	case *ast.UnaryNode:
		switch kind := c.kindOf(n.Node); {
		case kind == event.Flag, kind == event.Number && (n.Operator == "-" || n.Operator == "+"):
			return kind
		}
	case *ast.BinaryNode:
		if operators[n.Operator] && !strings.Contains("+-*/%", n.Operator) {
			return event.Flag
		}
	case *ast.BuiltinNode:
		return results[n.Name]
	case *ast.CallNode:
		if calleeName(n) == "in_network" {
			return event.Flag
		}
	}
	return ""
}

// isKnown reports whether a local has a value.
func (c *checker) isKnown(local *ast.MemberNode) bool {
	name, ok := local.Property.(*ast.StringNode)
	return ok && c.known.Locals[name.Value] != nil
}

// results are the kinds of what functions return.
var results = map[string]event.Kind{
	"lower": event.Text, "upper": event.Text, "trim": event.Text, "trimPrefix": event.Text, "trimSuffix": event.Text, "string": event.Text,
	"len": event.Number, "indexOf": event.Number, "int": event.Number, "float": event.Number,
	"hasPrefix": event.Flag, "hasSuffix": event.Flag,
}

// operands checks that the operator of a node can be applied to what stands on its sides. expr does so too,
// in words of Go and only of the first mistake.
func (c *checker) operands(n *ast.BinaryNode) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		c.joined(n, n.Left)
		c.joined(n, n.Right)
	case "==", "!=":
		if !c.equal(n, n.Left, n.Right) {
			c.equal(n, n.Right, n.Left)
		}
	case "<", ">", "<=", ">=":
		if !c.ordered(n, n.Left, n.Right) {
			c.ordered(n, n.Right, n.Left)
		}
	case "contains", "startsWith", "endsWith", "matches":
		c.texts(n)
	case "in":
		c.among(n)
	}
}

// joined checks one side of "and" and "or".
func (c *checker) joined(n *ast.BinaryNode, side ast.Node) {
	kind := c.kindOf(side)
	if kind == "" || kind == event.Flag {
		return
	}
	how := fmt.Sprintf("compare %s, as in %[1]s != ''", c.words(side))
	if literal, ok := side.(*ast.StringNode); ok {
		how = "repeat the comparison, or write a list: event in ['auth_failure', 'unknown_user']"
		if before, ok := n.Left.(*ast.BinaryNode); ok && side == n.Right {
			if field, ok := before.Left.(*ast.IdentifierNode); ok && before.Operator == "==" {
				how = fmt.Sprintf("repeat the comparison: %s %s %s == '%s'", c.words(before), n.Operator, field.Value, literal.Value)
			}
		}
	} else if kind == event.Number {
		how = fmt.Sprintf("compare %s, as in %[1]s > 0", c.words(side))
	}
	c.problem(side, "Not a condition", "%q joins conditions, and %s is none: %s.", n.Operator, c.words(side), how)
}

// equal reports whether there is a problem in comparing a value with another one, which is likely wrong.
func (c *checker) equal(n *ast.BinaryNode, value, other ast.Node) bool {
	is, not := c.kindOf(value), c.kindOf(other)
	if is == "" || not == "" || is == not || isLiteral(value) || is == list {
		return false
	}
	what, given := c.words(value), c.words(other)
	switch {
	case not == list:
		operator := map[string]string{"==": "in", "!=": "not in"}[n.Operator]
		c.problem(n, "Compared with a list", "%q compares with one value. Write: %s %s %s.", n.Operator, what, operator, given)
	case is == event.Flag:
		c.problem(other, "Neither true nor false", "%s is true or false: write %[1]s, or not %[1]s.", what)
	case is == event.Text && valuesOfField(value) != nil:
		c.problem(other, "Not a text", "%s is one of these texts: '%s'.", what, strings.Join(valuesOfField(value), "', '"))
	case is == event.Text:
		c.problem(other, "Not a text", "%s is a text: write '%s' in single quotes.", what, given)
	case is == event.Number:
		c.problem(other, "Not a number", "%s is a number: write %s without quotes.", what, numeral(other, "22"))
	case is == event.Time:
		c.problem(n, "Not a time of day", "time is a moment. Write hour >= 22, or time.Hour() >= 22, or night.")
	default:
		return false
	}
	return true
}

// valuesOfField returns all values of a field that has few.
func valuesOfField(n ast.Node) []string {
	if field, ok := n.(*ast.IdentifierNode); ok && event.FieldNamed(field.Value) != nil {
		return event.FieldNamed(field.Value).Values
	}
	return nil
}

// numeral returns the number that a text in quotes stands for, or another one as an example.
func numeral(n ast.Node, example string) string {
	if literal, ok := n.(*ast.StringNode); ok && onlyDigits.Use().MatchString(literal.Value) {
		return literal.Value
	}
	return example
}

var onlyDigits = regex.New(`^[0-9]+$`)

// ordered is [checker.equal] for < and >.
func (c *checker) ordered(n *ast.BinaryNode, value, other ast.Node) bool {
	is, not := c.kindOf(value), c.kindOf(other)
	switch {
	case isLiteral(value) || is == "" || not == "", is == event.Text && not == event.Text: // texts have an order too
		return false
	case is == event.Text:
		c.problem(value, "Not a number", "%s is a text, which has no order among numbers. Write int(%[1]s) if it is a number in every event.", c.words(value))
	case is == event.Flag:
		c.problem(n, "Not a number", "%s is true or false, and only numbers have an order. Join two comparisons with and: hour > 5 and hour < 8.", c.words(value))
	default:
		return c.equal(n, value, other)
	}
	return true
}

// texts checks both sides of an operator for texts.
func (c *checker) texts(n *ast.BinaryNode) {
	for _, side := range []ast.Node{n.Left, n.Right} {
		switch kind := c.kindOf(side); {
		case kind == "" || kind == event.Text:
		case isLiteral(side):
			c.problem(side, "Not a text", "%q compares texts: write '%s' in single quotes.", n.Operator, c.words(side))
		case kind == event.Number:
			c.problem(side, "Not a text", "%q compares texts, and %s is a number: write string(%[2]s).", n.Operator, c.words(side))
		case kind == list:
			c.problem(side, "Not a text", "%q compares with one text. For several write a pattern: matches 'sipvicious|scanner'.", n.Operator)
		default:
			c.problem(side, "Not a text", "%q compares texts, and %s is none.", n.Operator, c.words(side))
		}
	}
	literal, ok := n.Right.(*ast.StringNode)
	if !ok || !identifies(n.Left, "ip") {
		return
	}
	if _, err := netip.ParsePrefix(literal.Value); err == nil {
		c.problem(literal, "Never equal", "ip is the text of one address, which holds no network: write in_network(ip, '%s').", literal.Value)
	}
}

// among checks the list of "in".
func (c *checker) among(n *ast.BinaryNode) {
	right := c.known.Locals.constant(n.Right)
	literal, isText := right.(*ast.StringNode)
	kind := c.kindOf(n.Right)
	switch {
	case isText && identifies(n.Left, "ip"):
		if _, err := netip.ParsePrefix(literal.Value); err == nil {
			c.problem(literal, "Not a list", "\"in\" looks into a list. For a network write in_network(ip, '%s').", literal.Value)
			return
		}
		fallthrough
	case isText:
		parts := strings.FieldsFunc(literal.Value, func(r rune) bool { return r == ',' || r == ' ' })
		c.problem(literal, "Not a list", "%q needs a list in square brackets: ['%s'].", "in", strings.Join(parts, "', '"))
	case kind == event.Text:
		c.problem(n.Right, "Not a list", "%q needs a list in square brackets. To look into a text write: %s contains 'part'.", "in", c.words(n.Right))
	}
	array, ok := right.(*ast.ArrayNode)
	if !ok {
		return
	}
	for _, element := range array.Nodes {
		c.equal(&ast.BinaryNode{Operator: "==", Left: n.Left, Right: element}, n.Left, element)
	}
}

// negated checks what stands behind "not".
func (c *checker) negated(n *ast.UnaryNode) {
	kind := c.kindOf(n.Node)
	if (n.Operator != "not" && n.Operator != "!") || kind == "" || kind == event.Flag {
		return
	}
	c.problem(n, "Not a condition", "%q belongs to %s alone here, which is a %s. Write brackets: not (%[2]s contains 'x'), or: %[2]s not contains 'x'.",
		n.Operator, c.words(n.Node), kind)
}

// condition checks that the whole expression is one.
func (c *checker) condition(root ast.Node) {
	kind := c.kindOf(root)
	literal, isText := root.(*ast.StringNode)
	switch {
	case isText && c.isEvent(literal.Value):
		c.problem(root, "Not a condition", "A text alone matches nothing. Write: event == '%s'.", literal.Value)
	case kind != "" && kind != event.Flag:
		c.problem(root, "Not a condition", "The expression must be true or false: compare, as in user == '1000'.")
	}
}

// words is the text of a node as it is written, without the quotes of a text.
func (c *checker) words(n ast.Node) string {
	if literal, ok := n.(*ast.StringNode); ok {
		return literal.Value
	}
	from, to := span(n, c.tokens)
	return event.Bound(string(c.text[from:to]), 64)
}
