package rule

import (
	"math"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// tokensOf cuts an expression that has been parsed into its tokens, without the
// one that stands for the end.
func tokensOf(expression string) []lexer.Token {
	tokens, err := lexer.Lex(file.NewSource(expression))
	if err != nil || len(tokens) == 0 {
		return nil
	}
	return tokens[:len(tokens)-1]
}

// span is the range of a node's text, in runes. The tree knows where each token
// stands that became a node; brackets did not, so those at the ends which
// balance the ones inside are added.
func span(n ast.Node, tokens []lexer.Token) (from, to int) {
	known := extent{from: math.MaxInt}
	ast.Walk(&n, &known)
	first, last := 0, 0 // indices of tokens
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

// bracket is 1 for an opening bracket, -1 for a closing one, 0 for the rest.
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

// An extent is from the first to the last token under a node that the tree knows.
type extent struct{ from, to int }

// Visit implements [ast.Visitor].
func (e *extent) Visit(n *ast.Node) {
	at := (*n).Location()
	if at.To == 0 { // expr does not say where an if stands
		return
	}
	e.from = min(e.from, at.From)
	e.to = max(e.to, at.To)
}
