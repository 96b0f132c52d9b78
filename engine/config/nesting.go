package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxNesting bounds the brackets and operators within one another, and those of one
// expression. HCL parses and evaluates by recursion, with up to 16 KB of stack for each of
// them, and a Go program cannot recover from a full stack. Mistakes in the operands of an
// expression take time that grows with the square of their number.
const maxNesting = 1000

// parsed parses a file, unless it is nested so deeply that the stack would overflow.
func parsed(parse func([]byte, string, hcl.Pos) (*hcl.File, hcl.Diagnostics), src []byte, name string) (*hcl.File, hcl.Diagnostics) {
	tooDeep := tooDeepHCL
	if strings.HasSuffix(name, ".json") {
		tooDeep = tooDeepJSON
	}
	if at := tooDeep(src); at >= 0 {
		start := positionAt(src, hcl.InitialPos, at)
		return &hcl.File{Bytes: src}, hcl.Diagnostics{{
			Severity: hcl.DiagError, Summary: "Nested too deeply",
			Detail:  fmt.Sprintf("There are more than %d brackets and operators within one another here.", maxNesting),
			Subject: &hcl.Range{Filename: name, Start: start, End: start},
		}}
	}
	file, diags := parse(src, name, hcl.InitialPos)
	if file == nil {
		file = &hcl.File{Bytes: src}
	}
	return file, diags
}

// operators are the tokens that make an expression deeper, also one after the other.
const operators = string(hclsyntax.TokenBang) + string(hclsyntax.TokenMinus) + string(hclsyntax.TokenPlus) + string(hclsyntax.TokenStar) +
	string(hclsyntax.TokenSlash) + string(hclsyntax.TokenPercent) + string(hclsyntax.TokenQuestion) + string(hclsyntax.TokenAnd) +
	string(hclsyntax.TokenOr) + string(hclsyntax.TokenEqualOp) + string(hclsyntax.TokenNotEqual) + string(hclsyntax.TokenLessThan) +
	string(hclsyntax.TokenLessThanEq) + string(hclsyntax.TokenGreaterThan) + string(hclsyntax.TokenGreaterThanEq) + string(hclsyntax.TokenDot)

// tooDeepHCL returns the byte at which HCL is nested too deeply, or -1. Comments and
// the text of strings do not count. A comma, and the end of a line outside of
// parentheses, end an expression.
func tooDeepHCL(src []byte) int {
	few := maxNesting - bytes.Count(src, []byte("==")) // as most files have: these need not be split into tokens
	for _, c := range []byte("[{(!-+*/%?&|<>.") {
		few -= bytes.Count(src, []byte{c})
	}
	if few >= 0 {
		return -1
	}
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.Pos{})
	type bracket struct {
		end   hclsyntax.TokenType
		depth int // in it
	}
	depth, open := 0, []bracket{{hclsyntax.TokenCBrace, 0}} // the first one is the file
	for _, token := range tokens {
		inner := open[len(open)-1]
		switch token.Type {
		case hclsyntax.TokenComma:
			depth = inner.depth
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
			if inner.end == hclsyntax.TokenCBrace && bytes.HasSuffix(token.Bytes, []byte("\n")) {
				depth = inner.depth
			}
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
			open = append(open, bracket{ends[token.Type], depth})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			if token.Type == inner.end && len(open) > 1 { // the parser does not accept another one
				depth, open = inner.depth, open[:len(open)-1]
				if token.Type == hclsyntax.TokenTemplateSeqEnd {
					depth-- // what stands beside it in a text is not within it
				}
			}
		default:
			if strings.ContainsRune(operators, rune(token.Type)) {
				depth++
			}
		}
		if depth > maxNesting {
			return token.Range.Start.Byte
		}
	}
	return -1
}

// ends are the tokens that close others.
var ends = map[hclsyntax.TokenType]hclsyntax.TokenType{
	hclsyntax.TokenOBrace: hclsyntax.TokenCBrace, hclsyntax.TokenOBrack: hclsyntax.TokenCBrack, hclsyntax.TokenOParen: hclsyntax.TokenCParen,
	hclsyntax.TokenTemplateInterp: hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenTemplateControl: hclsyntax.TokenTemplateSeqEnd,
}

// tooDeepJSON is tooDeepHCL of JSON, whose strings are templates of HCL: behind a brace
// in one of them, whatever could be a bracket or a sign counts, escaped, too.
func tooDeepJSON(src []byte) int {
	depth, inside := 0, 0
	text, escaped, template := false, false, false // template: there may be one in the text
	for i, c := range src {
		switch {
		case text && (c < ' ' || c == '"' && !escaped):
			text, inside, template = false, 0, false
		case text:
			if template = template || c == '{' || c == 'u' && escaped; template && strings.IndexByte(`\[{(!-`, c) >= 0 {
				inside++
			}
			escaped = c == '\\' && !escaped
		case c == '"':
			text, escaped = true, false
		case c == '[', c == '{':
			depth++
		case c == ']', c == '}':
			depth = max(0, depth-1)
		}
		if depth > maxNesting || inside > maxNesting {
			return i
		}
	}
	return -1
}
