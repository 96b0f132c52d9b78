package rule

import (
	"fmt"
	"testing"
)

// TestPatternRemembers compares more values than a pattern remembers, each twice.
func TestPatternRemembers(t *testing.T) {
	m := compiled(t, "user_agent matches '7$' and not (user matches '^9')")
	ev := guess()
	for i := range 2 * maxKnown {
		for range 2 {
			ev.UserAgent, ev.User = fmt.Sprint("phone ", i), fmt.Sprint(i)
			want := i%10 == 7 && ev.User[0] != '9'
			if got, err := m.Match(ev); err != nil || got != want {
				t.Fatalf("%s, %s: got %v, %v; want %v", ev.UserAgent, ev.User, got, err, want)
			}
		}
	}
}

// TestPatternHidden: the function that stands for the operator is none of the language.
func TestPatternHidden(t *testing.T) {
	for _, expression := range []string{"port matches 'x'", "matches_pattern(user, 'x')", "user | matches_pattern('x')", "matches_pattern == ''"} {
		m, problems := Compile(expression, Vocabulary{})
		t.Log(problems)
		if m != nil {
			t.Errorf("%s is compiled", expression)
		}
	}
}
