package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds of one file, far beyond what anybody writes. HCL parses and evaluates
// by recursion, and a Go program that overflows its stack cannot recover; and
// it writes a number such as 1e999999999 out digit by digit.
const (
	maxDepth     = 100    // brackets and templates inside one another
	maxOperators = 10_000 // operators and index brackets
	maxNumber    = 64     // bytes of a number
	maxExponent  = 4      // bytes of its exponent, sign included
)

// checkNative finds what would make it dangerous to parse a file in HCL's own
// syntax; nil if there is nothing.
func checkNative(src []byte, name string) *hcl.Diagnostic {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return checkTokens(tokens)
}

func checkTokens(tokens hclsyntax.Tokens) *hcl.Diagnostic {
	depth, operators := 0, 0
	var before hclsyntax.TokenType
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOBrace, hclsyntax.TokenOParen,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
			if token.Type == hclsyntax.TokenOBrack && endsValue(before) {
				operators++
			}
		case hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenPercent,
			hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
			hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr,
			hclsyntax.TokenBang, hclsyntax.TokenQuestion:
			operators++
		case hclsyntax.TokenNumberLit:
			if hugeNumber(string(token.Bytes)) {
				return excess(token.Range, "Number too large", "A number of this size is of no use in a rule file.")
			}
		}
		if depth > maxDepth {
			return excess(token.Range, "Nested too deeply", fmt.Sprintf("There are more than %d open brackets here.", maxDepth))
		}
		if operators > maxOperators {
			return excess(token.Range, "Too many operators", fmt.Sprintf("A file may hold %d operators at the most.", maxOperators))
		}
		before = token.Type
	}
	return nil
}

// endsValue tells whether a bracket behind such a token is an index.
func endsValue(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenIdent, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCParen,
		hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenNumberLit:
		return true
	}
	return false
}

func hugeNumber(s string) bool {
	e := strings.IndexAny(s, "eE")
	return len(s) > maxNumber || e >= 0 && len(s)-e-1 > maxExponent
}

// checkJSON is checkNative for JSON, whose strings may hold templates in HCL's
// syntax.
func checkJSON(src []byte, name string) *hcl.Diagnostic {
	at := func(from, to int) hcl.Range {
		start := positionAt(src, hcl.InitialPos, from)
		return hcl.Range{Filename: name, Start: start, End: positionAt(src, start, to)}
	}
	depth := 0
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '"':
			end := jsonStringEnd(src, i)
			if problem := checkTemplate(src[i:end], name); problem != nil {
				problem.Subject = at(i, end).Ptr()
				return problem
			}
			i = end - 1
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return excess(at(i, i+1), "Nested too deeply", fmt.Sprintf("There are more than %d open brackets here.", maxDepth))
			}
		case c == ']' || c == '}':
			depth--
		case c == '-' || '0' <= c && c <= '9':
			end := i + 1
			for end < len(src) && strings.IndexByte("+-.eE0123456789", src[end]) >= 0 {
				end++
			}
			if hugeNumber(string(src[i:end])) {
				return excess(at(i, end), "Number too large", "A number of this size is of no use in a rule file.")
			}
			i = end - 1
		}
	}
	return nil
}

// jsonStringEnd finds the byte after the string that begins at src[start].
func jsonStringEnd(src []byte, start int) int {
	for i := start + 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(src)
}

// checkTemplate looks at a JSON string, quotes included, as the template that
// it may be read as.
func checkTemplate(quoted []byte, name string) *hcl.Diagnostic {
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil || !settings.IsTemplate(text) {
		return nil // the parser says what is wrong with the string
	}
	tokens, _ := hclsyntax.LexTemplate([]byte(text), name, hcl.InitialPos)
	return checkTokens(tokens)
}

func excess(rng hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &rng}
}
