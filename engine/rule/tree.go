package rule

import "github.com/expr-lang/expr/ast"

// eventNames derives from a tree which events can make it true; nil: any.
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

// literals are the values of string literals, nil if one of the nodes is none.
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
	if b == nil {
		return a
	}
	both := map[string]bool{}
	for name := range a {
		if b[name] {
			both[name] = true
		}
	}
	return both
}

func union(a, b map[string]bool) map[string]bool {
	if a == nil || b == nil {
		return nil
	}
	either := map[string]bool{}
	for name := range a {
		either[name] = true
	}
	for name := range b {
		either[name] = true
	}
	return either
}

// clauses splits a tree at its "and" and "or" into what stands between them, in
// the order of the text.
func clauses(n ast.Node) []ast.Node {
	if binary, ok := n.(*ast.BinaryNode); ok {
		switch binary.Operator {
		case "and", "&&", "or", "||":
			return append(clauses(binary.Left), clauses(binary.Right)...)
		}
	}
	return []ast.Node{n}
}
