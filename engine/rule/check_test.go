package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProblems compares the problems of mistakes: "at: summary: detail" for each, where
// at is the text of the range.
func TestProblems(t *testing.T) {
	const (
		join  = `Join comparisons with "and", "or" and "not".`
		array = `Write the cases with "in", "or" and "and".`
	)
	for expression, want := range map[string][]string{
		"usr == 'x'": {`usr: Unknown field: There is no field "usr". Did you mean "user"?`},
		"é == 'ü' and\n  domian == ''": {
			`é: Unknown field: There is no field "é".`,
			`domian: Unknown field: There is no field "domian". Did you mean "domain"?`,
		},
		"event == 'auth_failur' and usr == 1 and event in ['mine', 'cal']": {
			`'auth_failur': Unknown event: No source of this rule reports an event "auth_failur". Did you mean "auth_failure"?`,
			`usr: Unknown field: There is no field "usr". Did you mean "user"?`,
			`'cal': Unknown event: No source of this rule reports an event "cal". Did you mean "call"?`,
		},
		"'min' != event":          {`'min': Unknown event: No source of this rule reports an event "min". Did you mean "mine"?`},
		"event == auth_failure":   {`auth_failure: Unknown field: "auth_failure" is the name of an event: write event == 'auth_failure'.`},
		"destination == +4930":    {`+4930: Not a text: destination is a text: write '+4930' in single quotes.`},
		"reason == ''":            {`reason: Unknown field: "reason" is a raw field: write fields["reason"].`},
		"fields['reasn'] == ''":   {`'reasn': Unknown field: No source of this rule sets a raw field "reasn". Did you mean "reason"?`},
		"fields.reasn == ''":      {`reasn: Unknown field: No source of this rule sets a raw field "reasn". Did you mean "reason"?`},
		"'reasn' in fields":       {`'reasn': Unknown field: No source of this rule sets a raw field "reasn". Did you mean "reason"?`},
		"fields[user] == ''":      {`user: Name not constant: Write the name of a raw field in quotes.`},
		"user matches domain":     {`domain: Pattern not constant: Write a regular expression in quotes, or use contains.`},
		"user matches trim('x')":  {`trim('x'): Pattern not constant: Write a regular expression in quotes, or use contains.`},
		"user matches '(ab'":      {"'(ab': Invalid pattern: The regular expression cannot be parsed: missing closing ): `(ab`."},
		"user not matches 'a**'":  {"'a**': Invalid pattern: The regular expression cannot be parsed: invalid nested repetition operator: `**`."},
		"all(fields, # == 'x')":   {`all: Unknown function: "all" would make the time per event unbounded. ` + array},
		"reduce(1..9, #acc) == 1": {`reduce: Unknown function: "reduce" would make the time per event unbounded. ` + array, `..: Unknown operator: The operator ".." cannot be used in a rule. Compare with both ends: port >= 5060 and port <= 5080.`},
		"port in 5060..5080":      {`..: Unknown operator: The operator ".." cannot be used in a rule. Compare with both ends: port >= 5060 and port <= 5080.`},
		"port ** 2 == 4":          {`**: Unknown operator: The operator "**" cannot be used in a rule. These can be used: != % && * + - / < <= == > >= and contains endsWith in matches or startsWith ||.`},
		"now() > time":            {`now: Unknown function: "now" cannot be used in a rule, which must decide the same in a replay. Use "time", the time of the event: time.Hour() >= 22.`},
		"split(user, 'x') == ''":  {`split: Unknown function: "split" cannot be used in a rule. Use contains, startsWith, endsWith or matches.`},
		"hasPrefx(usr, 'x')": {
			`hasPrefx: Unknown function: There is no function "hasPrefx". Did you mean "hasPrefix"?`,
			`usr: Unknown field: There is no field "usr". Did you mean "user"?`,
		},
		"repeat('a', 9) == ''":         {`repeat: Unknown function: There is no function "repeat". These can be used: lower, upper, trim, trimPrefix, trimSuffix, hasPrefix, hasSuffix, len, indexOf, int, float, string, abs, in_network.`},
		"user.length() == 3":           {`user.length: Not part of the language: Only "time" has methods, such as time.Hour(). To look into a text write: user_agent contains 'scanner'.`},
		"time.Nanosecond() == 1":       {`Nanosecond: Unknown method: These methods of time can be used: Year, Day, Weekday, Hour, Minute, Second, Unix.`},
		"time.Weekday() == 0":          {`==: Invalid expression: Invalid operation: == (mismatched types time.Weekday and int): write weekday == 'Sun', or int(time.Weekday()), where 0 is Sunday.`},
		"let x = 1; x == 1":            {`x = 1; x == 1: Not part of the language: A variable cannot be used in a rule. Write the value where it is used.`},
		"user ? true : false":          {`user ? true : false: Not part of the language: A conditional cannot be used in a rule. ` + join},
		"if true {user} else {domain}": {`true {user} else {domain}: Not part of the language: A conditional cannot be used in a rule. ` + join},
		"user[0:2] == 'a'":             {`user[0:2]: Not part of the language: A slice cannot be used in a rule. Use startsWith, endsWith or contains.`},
		"user in local.dialrs or user == local['dialers']": {`local.dialrs: Unknown local: There is no local "dialrs" that is a text or a list of texts. Did you mean "dialers"?`,
			`user == local['dialers']: Compared with a list: "==" compares with one value. Write: user in local['dialers'].`},
		"event in local.dialers":               {`local.dialers: Unknown event: No source of this rule reports an event "2000".`, `local.dialers: Unknown event: No source of this rule reports an event "2001".`},
		"user matches local.broken":            {"local.broken: Invalid pattern: The regular expression cannot be parsed: missing closing ): `(`."},
		"local[user] == ''":                    {`user: Name not constant: Write the name of a local: local.fraud_countries.`},
		"user[0] == 'a'":                       {`user[0]: Not part of the language: Only "fields" and "local" have members. Use startsWith, endsWith or contains to look into a text.`},
		"user == nil":                          {`nil: Not part of the language: nil cannot be used in a rule. A field that was not reported is the empty string: compare with "".`},
		"fields?.reason == ''":                 {`fields?.reason: Not part of the language: Optional chaining cannot be used in a rule. A missing field is the empty string already.`},
		"user == 'a'; true":                    {`user == 'a'; true: Not part of the language: A sequence cannot be used in a rule. ` + join},
		"{a: 1} == 1":                          {`{a: 1}: Not part of the language: A map cannot be used in a rule. ` + join},
		"$env == 1":                            {`$env: Unknown field: There is no field "$env".`},
		"in_network(ip)":                       {`in_network: Wrong arguments: in_network takes an address and a network. Write in_network(ip, "10.0.0.0/8"), or in_network(ip, local.offices) for a list.`},
		"in_network(ip, domain)":               {`domain: Network not constant: The second argument is a network in quotes, or a list of such. Write in_network(ip, "10.0.0.0/8"), or in_network(ip, local.offices) for a list.`},
		"in_network(ip, '10.0.0.0/33')":        {`'10.0.0.0/33': Invalid network: "10.0.0.0/33" is neither a network nor an address. Write in_network(ip, "10.0.0.0/8"), or in_network(ip, local.offices) for a list.`},
		"in_network(ip, ['10.0.0.0/8', user])": {`['10.0.0.0/8', user]: Network not constant: The second argument is a network in quotes, or a list of such. Write in_network(ip, "10.0.0.0/8"), or in_network(ip, local.offices) for a list.`},
		"in_network(port, '10.0.0.0/8')":       {`port: Invalid expression: Cannot use int as argument (type string) to call in_network.`},
		"ip == '10.0.0.0/8'":                   {`'10.0.0.0/8': Never equal: An address is never equal to a network: write in_network(ip, "10.0.0.0/8").`},
		"ip == '2001:DB8::1'":                  {`'2001:DB8::1': Never equal: Addresses are compared in their shortest form: write "2001:db8::1".`},
		"ip not in ['::ffff:1.2.3.4', 'host']": {
			`'::ffff:1.2.3.4': Never equal: Addresses are compared in their shortest form: write "1.2.3.4".`,
			`'host': Never equal: "host" is not an IP address. For a network write in_network(ip, "192.0.2.0/24").`,
		},
		"port == '5060'":  {`'5060': Not a number: port is a number: write 5060 without quotes.`},
		"user and repeat": {`user: Not a condition: "and" joins conditions, and user is none: compare user, as in user != ''.`},
		"user":            {`user: Not a condition: The expression must be true or false: compare, as in user == '1000'.`},
		"1 < usr < 3":     {`usr: Unknown field: There is no field "usr". Did you mean "user"?`},
		"1 % 0 == 1":      {`%: Invalid expression: Integer divide by zero.`},
		"user = 'x'":      {`=: Invalid expression: Compare with two equals signs: ==.`},
		"(user == 'x'":    {`(: Invalid expression: The bracket that opens here is not closed.`},
		"user == 'x":      {`'x: Invalid expression: The text that begins here has no closing quote.`},
		"event == 'call' and event == 'challenge'": {`event == 'call' and event == 'challenge': Expression never matches: No event has two names: join the comparisons of "event" with "or".`},
		" ":              {` : Empty expression: Write a condition, such as: event == 'auth_failure'`},
		"user == '\xff'": {"user == '\ufffd': Invalid expression: The expression is not valid UTF-8."},
	} {
		m, problems := Compile(expression, Vocabulary{
			Events: []string{"mine"}, Fields: []string{"reason"}, Locals: Locals{"dialers": []string{"2000", "2001"}, "broken": "("},
		})
		if m != nil {
			t.Errorf("%s: a matcher with problems", expression)
		}
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%s: %s: %s", string([]rune(expression)[p.From:p.To]), p.Summary, p.Detail))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", expression, diff)
		}
	}
}

func TestExpressionBounds(t *testing.T) {
	chain := "1"
	for range 100 { // each doubles the work of a plain walk
		chain = "1 < int(" + chain + ") < 1"
	}
	for name, expression := range map[string]string{
		"length":   "user == '" + strings.Repeat("x", maxExpression) + "'",
		"nodes":    strings.Repeat("port == 1 or ", maxNodes/3) + "true",
		"chains":   chain,
		"pattern":  "user matches '(((a{10}){10}){10}){8}'",
		"patterns": strings.Repeat("user matches 'a{999}' or ", 4) + "user matches 'b{999}'",
		"depth":    strings.Repeat("(", maxExpression),
		"negated":  strings.Repeat("not ", maxExpression/4-1) + "true",
	} {
		if m, problems := Compile(expression, Vocabulary{}); m != nil || len(problems) != 1 {
			t.Errorf("%s: got %v, %v", name, m, problems)
		}
	}
	_, problems := Compile("user in ['x'"+strings.Repeat(", 'x'", maxNodes)+"]", Vocabulary{})
	if len(problems) != 1 || problems[0].Summary != "Expression too large" {
		t.Errorf("a long list: %v", problems)
	}
	if _, problems := Compile(strings.Repeat("port == 1 or ", 200)+"true", Vocabulary{}); problems != nil {
		t.Errorf("two hundred comparisons are too many: %v", problems)
	}
}

func TestUnknownRawFields(t *testing.T) {
	if _, problems := Compile("fields['anything'] == 'x'", Vocabulary{}); problems != nil {
		t.Fatal(problems)
	}
	if _, problems := Compile("fields['anything'] == 'x'", Vocabulary{Fields: []string{}}); len(problems) != 1 {
		t.Fatal("a raw field that no source sets is accepted")
	}
}
