package spelling

import (
	"slices"
	"strings"
	"unicode/utf8"

	"freeswitch-security/engine/regex"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// A Mistake is an error of the parser. From and To are offsets in runes.
type Mistake struct {
	From, To int
	Detail   string
}

// backslash says how to write a pattern without one.
const backslash = "A backslash stands for itself only in backticks: `friendly\\.scanner`. In single quotes write [.] for a dot in a pattern, and [0-9] for a digit: 'friendly[.]scanner'"

// Explain says what is wrong with an expression that the parser refuses at a token, and what to write.
// A message that it does not know comes back as it is.
func Explain(expression string, m Mistake) Mistake {
	switch {
	case m.Detail == "literal not terminated":
		m.From = lastQuote(expression)
		m.Detail = "The text that begins here has no closing quote"
		return m
	case m.Detail == "invalid char escape":
		m.Detail = backslash
		return m
	}
	tokens := tokensOf(expression)
	i := slices.IndexFunc(tokens, func(t lexer.Token) bool { return t.From >= m.From || t.To > m.From })
	if i < 0 || strings.Contains(m.Detail, "EOF") || strings.Contains(m.Detail, "unexpected end") {
		i = len(tokens)
	}
	s := sentence{text: []rune(expression), tokens: tokens, at: i}
	for _, look := range []func(sentence) (Mistake, bool){
		sentence.operator, sentence.sign, sentence.condition, sentence.quotes, sentence.list, sentence.bracket,
	} {
		if found, ok := look(s); ok {
			return found
		}
	}
	m.Detail = plain(m.Detail)
	return m
}

// quotedToken is how the parser names a token in its messages.
var quotedToken = regex.New(`[A-Z][a-z]+\(("[^"]*")\)`)

func plain(message string) string {
	message = strings.Replace(message, "unexpected token EOF", "unexpected end of the expression", 1)
	return strings.TrimSpace(quotedToken.Use().ReplaceAllString(message, "$1"))
}

// tokensOf returns the tokens up to the first that cannot be read.
func tokensOf(expression string) (tokens []lexer.Token) {
	l := lexer.New()
	l.Reset(file.NewSource(expression))
	for {
		t, err := l.Next()
		if err != nil || t.Kind == lexer.EOF {
			return tokens
		}
		tokens = append(tokens, t)
	}
}

// lastQuote returns where the last text of an expression begins, in runes.
func lastQuote(expression string) int {
	open, at, escaped := rune(0), 0, false
	for i, r := range []rune(expression) {
		switch {
		case escaped:
			escaped = false
		case open != 0 && r == '\\' && open != '`':
			escaped = true
		case open == r:
			open = 0
		case open == 0 && (r == '\'' || r == '"' || r == '`'):
			open, at = r, i
		}
	}
	return at
}

// A sentence is an expression that is refused at one of its tokens.
type sentence struct {
	text   []rune
	tokens []lexer.Token
	at     int // len(tokens): at the end
}

// token returns a token by its distance from the refused one.
func (s sentence) token(distance int) lexer.Token {
	if i := s.at + distance; i >= 0 && i < len(s.tokens) {
		return s.tokens[i]
	}
	return lexer.Token{Kind: lexer.EOF}
}

// mistake is one over the refused token.
func (s sentence) mistake(detail string) (Mistake, bool) {
	t := s.token(0)
	return Mistake{t.From, t.To, detail}, true
}

func isWord(t lexer.Token) bool {
	return t.Kind == lexer.Identifier || t.Kind == lexer.Operator && t.Value != "" && (t.Value[0] >= 'a' && t.Value[0] <= 'z')
}

// words are the operators of other languages, in small letters and without "_".
var words = map[string]string{
	"and": "and", "or": "or", "not": "not", "in": "in", "matches": "matches", "contains": "contains",
	"startswith": "startsWith", "endswith": "endsWith", "beginswith": "startsWith", "starts": "startsWith", "begins": "startsWith", "ends": "endsWith",
	"like": "contains", "includes": "contains", "has": "contains", "match": "matches", "regex": "matches", "regexp": "matches", "rlike": "matches", "ilike": "matches",
	"is": "==", "eq": "==", "equals": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "xor": "!=",
}

// Operator returns the operator that a word in another spelling stands for; "" if it is none.
func Operator(word string) string {
	return words[strings.ToLower(strings.ReplaceAll(word, "_", ""))]
}

// operator finds an operator in another spelling, and one that is written as a function.
func (s sentence) operator() (Mistake, bool) {
	t := s.token(0)
	if !isWord(t) {
		return Mistake{}, false
	}
	right := Operator(t.Value)
	switch {
	case right == "":
		return Mistake{}, false
	case t.Value == right && t.Kind == lexer.Operator && s.token(1).Is(lexer.Bracket, "("):
		return s.mistake("The operator " + right + " stands between two texts: user_agent " + right + " 'scanner'")
	case t.Value == right:
		return Mistake{}, false
	case right == "==" && (s.token(1).Value == "null" || s.token(1).Value == "empty"):
		return s.mistake("A field that is not there is the empty text: write == ''")
	case right == "contains" && strings.ToLower(t.Value) == "like":
		return s.mistake("The operators for texts are contains, startsWith, endsWith and matches: user startsWith '1'")
	}
	return s.mistake("The operator \"" + t.Value + "\" is written " + right)
}

// sign finds an operator of signs that other languages have.
func (s sentence) sign() (Mistake, bool) {
	t := s.token(0)
	if t.Kind == lexer.EOF {
		return Mistake{}, false
	}
	before, rest := s.token(-1), string(s.text[t.From:])
	adjacent := before.To == t.From
	switch {
	case adjacent && before.Value == "==" && t.Value == "=", adjacent && before.Value == "!=" && t.Value == "=":
		m := Mistake{before.From, t.To, "Compare with two signs: == or !="}
		return m, true
	case strings.HasPrefix(rest, "=~"):
		return s.mistake("A pattern is compared with matches: user_agent matches 'sipvicious|scanner'")
	case t.Value == ":" && before.Kind == lexer.Number:
		return s.mistake("A time of day is written with the fields hour and night: hour >= 22 or hour < 6")
	case t.Value == "=":
		return s.mistake("Compare with two equals signs: ==")
	case adjacent && before.Value == "<" && t.Value == ">":
		m := Mistake{before.From, t.To, "Not equal is written !="}
		return m, true
	case t.Value == "/":
		return s.mistake("A pattern is a text in single quotes: matches 'sipvicious|scanner'. For capital and small letters write (?i) before it: '(?i)scanner'")
	}
	if i := slices.IndexFunc(s.tokens[:s.at], func(t lexer.Token) bool { return t.Value == "|" && t.Kind == lexer.Operator }); i >= 0 {
		return Mistake{s.tokens[i].From, s.tokens[i].To, "The operator \"|\" is written or"}, true
	}
	if rest[0] == '&' || t.Value == "&" {
		return s.mistake("The operator \"&\" is written and")
	}
	return Mistake{}, false
}

// condition finds a sentence of another language around the condition.
func (s sentence) condition() (Mistake, bool) {
	t := s.token(0)
	if len(s.tokens) > 0 && s.tokens[0].Value == "if" || t.Value == "then" || t.Value == "if" {
		return s.mistake("Write the condition alone, without if and then. What follows from it stands in the blocks ban and alert")
	}
	return Mistake{}, false
}

// quotes finds a text whose quote is missing: what follows it is read as the end of a text.
func (s sentence) quotes() (Mistake, bool) {
	t, before := s.token(0), s.token(-1)
	if before.Kind != lexer.String || t.From != before.To || t.Kind != lexer.Identifier && t.Kind != lexer.Number {
		return Mistake{}, false
	}
	return Mistake{before.From, before.To, "A quote is missing: the text here ends where another one should begin"}, true
}

// list finds a list in round brackets.
func (s sentence) list() (Mistake, bool) {
	if s.token(0).Value != "," {
		return Mistake{}, false
	}
	for i := s.at - 1; i > 0; i-- {
		if s.tokens[i].Value == "(" {
			if s.tokens[i-1].Value == "in" {
				return Mistake{s.tokens[i].From, s.tokens[i].To, "A list has square brackets: in ['auth_failure', 'unknown_user']"}, true
			}
			break
		}
	}
	return s.mistake("A list has square brackets: in ['auth_failure', 'unknown_user']. Conditions are joined with and, or")
}

// bracket finds a bracket that is not closed, or closes nothing.
func (s sentence) bracket() (Mistake, bool) {
	var open []lexer.Token
	for _, t := range s.tokens[:s.at] {
		switch {
		case t.Kind != lexer.Bracket:
		case strings.Contains("([{", t.Value):
			open = append(open, t)
		case len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	t := s.token(0)
	switch {
	case t.Kind == lexer.EOF && len(open) > 0:
		last := open[len(open)-1]
		return Mistake{last.From, last.To, "The bracket that opens here is not closed"}, true
	case t.Kind == lexer.EOF && s.at > 0 && isWord(s.token(-1)):
		return Mistake{s.token(-1).From, s.token(-1).To, "The expression ends here, and a condition should follow"}, true
	case t.Kind == lexer.Bracket && len(open) == 0 && strings.Contains(")]}", t.Value):
		return s.mistake("The bracket that closes here was not opened")
	}
	return Mistake{}, false
}

// Pattern says what to write in place of a regular expression that RE2 does not have, with a space before it.
func Pattern(pattern string) string {
	switch {
	case strings.Contains(pattern, "(?!"), strings.Contains(pattern, "(?<!"), strings.Contains(pattern, "(?="), strings.Contains(pattern, "(?<="):
		return " There is no look-ahead: join two comparisons, as in user_agent matches 'x' and user_agent not matches 'y'."
	case strings.Contains(pattern, `\1`):
		return " There is no reference back to a group."
	case strings.HasPrefix(pattern, "*"):
		return " For a part of a text write contains 'scanner'; any text is .* in a pattern."
	}
	return ""
}

// Sentence makes a detail begin with a capital letter and end with a full stop.
func Sentence(detail string) string {
	first, size := utf8.DecodeRuneInString(detail)
	detail = strings.ToUpper(string(first)) + detail[size:]
	if !strings.HasSuffix(detail, ".") {
		detail += "."
	}
	return detail
}
