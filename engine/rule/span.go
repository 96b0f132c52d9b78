package rule

import (
	"math"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// tokensOf returns the tokens of an expression that was parsed, without the end token.
func tokensOf(expression string) []lexer.Token {
	tokens, err := lexer.Lex(file.NewSource(expression))
	if err != nil || len(tokens) == 0 {
		return nil
	}
	return tokens[:len(tokens)-1]
}

// span returns the range of a node's text, in runes. The tree has the positions of the
// tokens that became nodes, which brackets did not. So span adds the brackets at the ends
// that balance those inside.
func span(n ast.Node, tokens []lexer.Token) (from, to int) {
	known := extent{from: math.MaxInt}
	ast.Walk(&n, &known)
	first, last := 0, 0 // tokens
	for i, t := range tokens {
		if t.From <= known.from {
			first = i
		}
		if t.To <= known.to {
			last = i
		}
	}
	depth, lowest := 0, 0
	for _, t := range tokens[first : last+1] {
		depth += bracket(t)
		lowest = min(lowest, depth)
	}
	for missing := -lowest; missing > 0 && first > 0; {
		first--
		missing -= bracket(tokens[first])
	}
	for missing := depth - lowest; missing > 0 && last+1 < len(tokens); {
		last++
		missing += bracket(tokens[last])
	}
	return tokens[first].From, tokens[last].To
}

// bracket is 1 for an opening bracket, -1 for a closing one, 0 for other tokens.
func bracket(t lexer.Token) int {
	if t.Kind != lexer.Bracket {
		return 0
	}
	switch t.Value {
	case "(", "[", "{":
		return 1
	}
	return -1
}

// An extent is the range of the tokens under a node whose positions the tree has.
type extent struct{ from, to int }

// Visit implements [ast.Visitor].
func (e *extent) Visit(n *ast.Node) {
	at := (*n).Location()
	if at.To == 0 { // expr has no position for an if
		return
	}
	e.from = min(e.from, at.From)
	e.to = max(e.to, at.To)
}
