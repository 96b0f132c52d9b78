package rule

import (
	"github.com/expr-lang/expr"

	"freeswitch-security/engine/event"
)

// A Clause is one of the comparisons that an expression joins with "and" and "or", and
// its result for one event.
type Clause struct {
	Text string // as in the expression
	True bool
	Err  error // if it could not be evaluated
}

// Why evaluates an expression clause by clause, in the order of the text. It compiles
// each clause: it is for an explanation, not for every event.
func (m *Matcher) Why(ev *event.Event) []Clause {
	tokens := tokensOf(m.text)
	text := []rune(m.text)
	var out []Clause
	for _, n := range clauses(m.root) {
		from, to := span(n, tokens)
		clause := Clause{Text: string(text[from:to])}
		part := Matcher{names: m.names}
		if part.program, clause.Err = expr.Compile(clause.Text, optionsWith(m.locals, patterns{})...); clause.Err == nil {
			clause.True, clause.Err = part.Match(ev)
		}
		out = append(out, clause)
	}
	return out
}
