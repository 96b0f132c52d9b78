package rule

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"

	"freeswitch-security/engine/event"
)

// eventNames returns the names of the events for which an expression can be true; nil:
// any.
func eventNames(n ast.Node) map[string]bool {
	binary, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	switch binary.Operator {
	case "and", "&&":
		return intersection(eventNames(binary.Left), eventNames(binary.Right))
	case "or", "||":
		return union(eventNames(binary.Left), eventNames(binary.Right))
	case "==":
		if identifies(binary.Left, "event") {
			return literals(binary.Right)
		}
		if identifies(binary.Right, "event") {
			return literals(binary.Left)
		}
	case "in":
		if array, ok := binary.Right.(*ast.ArrayNode); ok && identifies(binary.Left, "event") {
			return literals(array.Nodes...)
		}
	}
	return nil
}

// literals returns the values of string literals; nil if a node is no string literal.
func literals(nodes ...ast.Node) map[string]bool {
	set := map[string]bool{}
	for _, n := range nodes {
		literal, ok := n.(*ast.StringNode)
		if !ok {
			return nil
		}
		set[literal.Value] = true
	}
	return set
}

func intersection(a, b map[string]bool) map[string]bool {
	if a == nil {
		return b
	}
	if b != nil {
		maps.DeleteFunc(a, func(name string, _ bool) bool { return !b[name] })
	}
	return a
}

func union(a, b map[string]bool) map[string]bool {
	if a == nil || b == nil {
		return nil
	}
	maps.Copy(a, b)
	return a
}

// Comparisons calls f with the fields that each part of the expression reads, as of [Matcher.Uses], and
// with the names of the events for which that part can decide; nil: any. It leaves out the fields of which
// the expression asks somewhere whether they are there.
func (m *Matcher) Comparisons(f func(fields []string, events map[string]bool)) {
	type part struct {
		reads  reader
		events map[string]bool
	}
	var parts []part
	var asked reader
	var walk func(n ast.Node, events map[string]bool)
	walk = func(n ast.Node, events map[string]bool) {
		events = intersection(maps.Clone(events), eventNames(n))
		switch n := n.(type) {
		case *ast.UnaryNode:
			walk(n.Node, events)
			return
		case *ast.BinaryNode:
			switch n.Operator {
			case "and", "&&", "or", "||":
				walk(n.Left, events)
				walk(n.Right, events)
				return
			}
			if literals(m.locals.constant(n.Left))[""] || literals(m.locals.constant(n.Right))[""] {
				ast.Walk(&n.Left, &asked)
				ast.Walk(&n.Right, &asked)
				return
			}
		}
		p := part{events: events}
		ast.Walk(&n, &p.reads)
		parts = append(parts, p)
	}
	walk(m.root, nil)
	for _, p := range parts {
		f(slices.DeleteFunc(p.reads, func(field string) bool { return slices.Contains(asked, field) }), p.events)
	}
}

// A reader collects the fields that a node reads.
type reader []string

// Visit implements [ast.Visitor].
func (r *reader) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		*r = append(*r, n.Value)
	case *ast.MemberNode:
		if key, ok := n.Property.(*ast.StringNode); ok && identifies(n.Node, "fields") {
			*r = append(*r, event.Raw(key.Value))
		}
	}
}

// clauses splits an expression at its "and" and "or", in the order of the text.
func clauses(n ast.Node) []ast.Node {
	if binary, ok := n.(*ast.BinaryNode); ok {
		switch binary.Operator {
		case "and", "&&", "or", "||":
			return append(clauses(binary.Left), clauses(binary.Right)...)
		}
	}
	return []ast.Node{n}
}

// Negates reports whether the expression can be true because a text is none of some constants, and nowhere
// asks whether the text is there: it would be true of all events while nothing sets the field.
func (m *Matcher) Negates(field string) bool {
	negated, asked := false, false
	var walk func(n ast.Node, within bool)
	walk = func(n ast.Node, within bool) {
		switch n := n.(type) {
		case *ast.UnaryNode:
			walk(n.Node, !within)
		case *ast.BinaryNode:
			names := identifies(n.Left, field) || identifies(n.Right, field)
			left, right := m.locals.constant(n.Left), m.locals.constant(n.Right)
			asked = asked || names && (literals(left)[""] || literals(right)[""])
			negated = negated || names && within == (n.Operator != "!=")
			walk(n.Left, within)
			walk(n.Right, within)
		}
	}
	walk(m.root, false)
	return negated && !asked
}

// A visitLimit is the number of nodes that a walk may still visit.
type visitLimit int

// Visit implements [ast.Visitor].
func (l *visitLimit) Visit(*ast.Node) {
	if *l--; *l < 0 {
		panic(l)
	}
}

// walksWithin reports whether a walk over a tree visits at most limit nodes. That can
// be far more than the tree has: expr makes a < b and b < c of a < b < c, with one b in
// both, and nested chains double the walk with each level.
func walksWithin(limit int, n ast.Node) (ok bool) {
	visits := visitLimit(limit)
	defer func() {
		if r := recover(); r != nil && r != &visits {
			panic(r)
		}
	}()
	ast.Walk(&n, &visits)
	return true
}
