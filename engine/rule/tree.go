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

// size is the number of nodes that a walk over a tree visits, or some number
// above limit. It can be far greater than the number of nodes there are: of
// a < b < c expr makes a < b and b < c, with one b in both, and chains in the
// middle of chains double the walk with each level. known holds the sizes found
// so far.
func size(n ast.Node, limit int, known map[ast.Node]int) int {
	if sum, ok := known[n]; ok {
		return sum
	}
	sum := 1
	for _, child := range children(n) {
		if sum > limit {
			break
		}
		sum += size(child, limit, known)
	}
	known[n] = sum
	return sum
}

func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return []ast.Node{n.Node, n.From, n.To}
	case *ast.CallNode:
		return append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	}
	return nil
}
