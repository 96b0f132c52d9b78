package rule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"

	"freeswitch-security/engine/event"
)

// byExpr returns what expr says of an expression and an event.
func byExpr(t testing.TB, m *Matcher, ev *event.Event) bool {
	t.Helper()
	program, err := expr.Compile(m.text, optionsWith(m.locals, patterns{})...)
	if err != nil {
		t.Fatal(err)
	}
	matched, err := (&Matcher{program: program, names: m.names}).Match(ev)
	if err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	return matched
}

// somethings are values of fields and of literals, many of them equal.
var somethings = []string{"", "a", "A", "ab", "Ünïcode", "\xff\x00", "K", "203.0.113.7", "auth_failure", "true", "1"}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// anEvent returns an event with random values in all fields.
func anEvent(r *rand.Rand) *event.Event {
	ev := &event.Event{
		Time: time.Unix(r.Int64N(1e9), 0).UTC(), Port: uint16(r.IntN(3)), Answer: uint16(r.IntN(3)), Hour: uint8(r.IntN(3)), Weekday: "Mon",
		HistoryDays: uint16(r.IntN(3)), Proven: r.IntN(2) == 0, Repeat: r.IntN(2) == 0, Abroad: r.IntN(2) == 0, Night: r.IntN(2) == 0,
		NewNetwork: r.IntN(2) == 0, NewDestination: r.IntN(2) == 0, Guessed: r.IntN(2) == 0,
	}
	ev.Each(func(text *string) { *text = pick(r, somethings) })
	ev.Name = pick(r, []string{"auth_failure", "call", "a"})
	for _, at := range []*netip.Addr{&ev.IP, &ev.NonceIP} {
		*at = pick(r, []netip.Addr{{}, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%eth0")})
	}
	if r.IntN(4) > 0 {
		ev.Fields = map[string]string{"x": pick(r, somethings)}
	}
	return ev
}

// anExpression returns a random condition of a depth, of all parts of the language that are translated.
func anExpression(r *rand.Rand, depth int) string {
	if depth > 0 {
		a, b := anExpression(r, depth-1), anExpression(r, depth-1)
		return pick(r, []string{"(" + a + " and " + b + ")", "(" + a + " || " + b + ")", "not (" + a + ")", "!(" + a + ")", "(" + a + ") != true", "(" + a + ") in [false]"})
	}
	quoted := func() string {
		return fmt.Sprintf("%q", strings.ToValidUTF8(strings.ReplaceAll(pick(r, somethings), "\x00", ""), "?"))
	}
	var texts, numbers, flags []string
	for _, f := range event.Fields {
		switch {
		case f.Name == "ip", f.Name == "destination_country", f.Values != nil, f.Kind == event.Map, f.Kind == event.Time:
		case f.Kind == event.Number:
			numbers = append(numbers, f.Name)
		case f.Kind == event.Flag:
			flags = append(flags, f.Name)
		default:
			texts = append(texts, f.Name)
		}
	}
	text := pick(r, texts)
	text = pick(r, []string{text, text, "fields['x']", "fields.missing", "lower(" + text + ")", "(" + text + " | upper())", "trim(" + text + ")", "local.a"})
	number := pick(r, append(numbers, "len("+text+")", "1"))
	few := []string{quoted(), quoted()}
	return pick(r, []string{
		pick(r, flags), "true", pick(r, flags) + " == false", "true != " + pick(r, flags), pick(r, flags) + " in [true, false]",
		text + " == " + quoted(), quoted() + " != " + text, text + " == local.a", text + " in local.list", text + " not in local.none",
		text + " in [" + strings.Join(few, ", ") + "]", text + " in [" + strings.Join(slices.Repeat(append(few, quoted()), 4), ", ") + "]",
		number + pick(r, []string{" < ", " > ", " <= ", " >= "}) + pick(r, numbers), number + " in [0, 2]", "1 == " + number, "0 <= " + number + " < 2",
		text + pick(r, []string{" contains ", " startsWith ", " endsWith ", " not contains "}) + quoted(), text + " startsWith user",
		text + " matches '(?i)^a|ü'", text + " not matches local.a", "in_network(ip, '203.0.113.0/24')", "in_network(nonce_ip, '::/0')",
		"in_network(ip, local.nets)", "not in_network(nonce_ip, local.none)", "in_network(ip, ['10.0.0.0/8', '2001:db8::/32'])", "ip == '203.0.113.7'", "ip in ['', '2001:db8::1']",
	})
}

// TestConditionAgreesWithExpr compares the functions with expr, on random expressions and events. An event of another name
// than those of an expression never matches it.
func TestConditionAgreesWithExpr(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	known := Vocabulary{Open: true, Locals: Locals{"a": "a", "list": []string{"a", "ab", "K"}, "none": []string{}, "nets": []string{"203.0.113.0/24", "2001:db8::7"}}}
	direct := 0
	for i := range 4000 {
		m, problems := Compile(anExpression(r, i%4), known)
		if problems != nil {
			continue // such as a literal that is never equal
		}
		if m.direct == nil {
			t.Errorf("%s is left to expr", m)
			continue
		}
		direct++
		for range 3 {
			ev := anEvent(r)
			got, want := m.direct(ev), byExpr(t, m, ev)
			if got != want {
				t.Fatalf("%s\nof %+v\nis %v, and %v to expr", m, ev, got, want)
			}
			if names := m.Events(); got && names != nil && !names[ev.Name] {
				t.Fatalf("%s matches %s, and its events are %v", m, ev.Name, names)
			}
		}
	}
	if direct < 1000 {
		t.Errorf("only %d expressions were compared", direct)
	}
}

// operands are of one kind each, as expr has it.
var operands = [][]string{
	{"''", "'a'", "'K'", "local.a", "local['a']", "user", "method", "ip", "nonce_ip", "destination_number", "fields['x']", "fields.missing",
		"lower(user)", "user | upper()", "trim(' a ')", "trim(user, 'a')", "string(port)", "trimPrefix(user, 'a')", "'a' + user", "user ?? 'a'", "weekday"},
	{"0", "1", "-1", "+1", "2", "9223372036854775807", "port", "answer", "hour", "history_days", "len(user)", "len(local.list)", "user | len()", "len('Ü')",
		"int(user)", "abs(-1)", "1 - port", "port / answer", "port % 2", "indexOf(user, 'a')", "time.Hour()", "1.5", "float(port)"},
	{"true", "false", "proven", "repeat", "not proven", "abroad", "(port > 1)", "(user in local.list)", "in_network(ip, '::/0')", "in_network(user, '::/0')", "hasPrefix(user, 'a')", "('x' in fields)"},
	{"[]", "local.list", "local.none", "['a']", "['a', user]", "['a', 1]", "[1, 2]", "[1, port]", "[-1]", "[1.0]", "[true]", "[proven]", "[[1]]", "fields"},
	{"nil", "time", "local.other", "fields?.x", "time.Weekday()", "1..3", "user[0:1]", "lower()", "in_network(ip)", "any([1], true)", "(proven ? 'a' : 'b')", "len(port)", "lower(port)", "-user", "unknown"},
}

// anyComparison returns an expression of any operator and operands. Most of them are of the kinds that the operator takes.
func anyComparison(r *rand.Rand, depth int) string {
	if depth > 0 {
		return "(" + anyComparison(r, depth-1) + ")" + pick(r, []string{" and ", " or ", " && ", " || ", " == ", " != ", " in ", " not in "}) +
			pick(r, []string{"(" + anyComparison(r, depth-1) + ")", pick(r, operands[2]), "[" + pick(r, operands[2]) + "]"})
	}
	operators := [][]string{
		{"==", "!=", "matches", "not matches", "contains", "not contains", "startsWith", "endsWith", "<", ">="}, {"==", "!=", "<", ">", "<=", ">="}, {"==", "!=", "and", "or", "&&", "||"}, {"==", "!="},
	}
	kind := r.IntN(len(operators))
	left, right := pick(r, operands[kind]), pick(r, operands[kind])
	operator := pick(r, operators[kind])
	switch r.IntN(8) {
	case 0, 1:
		operator, right = pick(r, []string{"in", "not in"}), pick(r, operands[3])
	case 2:
		left = pick(r, pick(r, operands))
	case 3:
		operator = pick(r, append(pick(r, operators), "??", "..", "**", "^", "%"))
	case 4:
		right += " " + operator + " " + pick(r, operands[kind])
	}
	return pick(r, []string{"", "", "", "not ", "!"}) + left + " " + operator + " " + right
}

// TestConditionIsAcceptedByExpr compiles expressions of operands of any kind: what has a function is of types that expr
// accepts, and has the result that expr has, without an error.
func TestConditionIsAcceptedByExpr(t *testing.T) {
	seed, rounds := uint64(5), 3000
	if text := os.Getenv("CONDITIONS"); text != "" {
		rounds, _ = strconv.Atoi(text)
		seed = rand.Uint64()
		t.Log("seed", seed)
	}
	r := rand.New(rand.NewPCG(seed, 6))
	known := Vocabulary{Open: true, Locals: Locals{"a": "a", "list": []string{"a", "ab", "K"}, "none": []string{}}}
	direct, left := 0, 0
	for i := range rounds {
		m, problems := Compile(anyComparison(r, i%3), known)
		switch {
		case problems != nil:
			continue
		case m.direct == nil:
			left++
			continue
		}
		direct++
		for range 3 {
			ev := anEvent(r)
			if got, want := m.direct(ev), byExpr(t, m, ev); got != want {
				t.Fatalf("%s\nof %+v\nis %v, and %v to expr", m, ev, got, want)
			}
		}
	}
	if direct < rounds/40 || left < rounds/40 {
		t.Errorf("of %d expressions, %d have a function, and %d are left to expr", rounds, direct, left)
	}
}

// TestConditionOrExpr leaves to expr what may fail, and what has no function.
func TestConditionOrExpr(t *testing.T) {
	for expression, direct := range map[string]bool{
		"event == 'call' and abroad": true,
		"1 < port < 9":               true,
		"int(user) == 5":             false,
		"event == 'call' and (repeat or time.Hour() >= 22)": false,
		"port / answer == 1":             false,
		"user == domain":                 false,
		"user + domain == 'ab'":          false,
		"'x' in fields":                  false,
		"in_network(user, '10.0.0.0/8')": false,
		"float(user) < 1.5":              false,
		"user in [domain, 'a']":          false,
		"hasPrefix(user, 'a')":           false,
		"lower(user) startsWith 'a' and len(user) not in [1]": true,
	} {
		if m := compiled(t, expression); (m.direct != nil) != direct || (m.program == nil) != direct {
			t.Errorf("%s: direct is %v, want %v", expression, !direct, direct)
		}
	}
}
