package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxNesting bounds the brackets and signs within one another. HCL parses and evaluates
// by recursion, with up to 16 KB of stack for each of them, and a Go program cannot
// recover from a full stack.
const maxNesting = 1000

// parsed parses a file, unless it is nested so deeply that the stack would overflow. In
// a file of maxFile bytes nothing else overflows it: 1+1+1… takes 640 bytes for each +.
func parsed(parse func([]byte, string, hcl.Pos) (*hcl.File, hcl.Diagnostics), src []byte, name string) (*hcl.File, hcl.Diagnostics) {
	tooDeep := tooDeepHCL
	if strings.HasSuffix(name, ".json") {
		tooDeep = tooDeepJSON
	}
	if at := tooDeep(src); at >= 0 {
		start := positionAt(src, hcl.InitialPos, at)
		return &hcl.File{Bytes: src}, hcl.Diagnostics{{
			Severity: hcl.DiagError, Summary: "Nested too deeply",
			Detail:  fmt.Sprintf("There are more than %d brackets or signs within one another here.", maxNesting),
			Subject: &hcl.Range{Filename: name, Start: start, End: start},
		}}
	}
	file, diags := parse(src, name, hcl.InitialPos)
	if file == nil {
		file = &hcl.File{Bytes: src}
	}
	return file, diags
}

// tooDeepHCL returns the byte at which HCL is nested too deeply, or -1. Comments and
// the text of strings do not count, and do not interrupt signs.
func tooDeepHCL(src []byte) int {
	few := maxNesting // as most files have: these need not be split into tokens
	for _, c := range []byte("[{(!-") {
		few -= bytes.Count(src, []byte{c})
	}
	if few >= 0 {
		return -1
	}
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.Pos{})
	depth, signs := 0, 0
	for i := range tokens {
		switch tokens[i].Type {
		case hclsyntax.TokenComment, hclsyntax.TokenNewline:
			continue
		case hclsyntax.TokenBang, hclsyntax.TokenMinus:
			signs++
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth, signs = depth+1, 0
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth, signs = max(0, depth-1), 0
		default:
			signs = 0
		}
		if depth > maxNesting || signs > maxNesting {
			return tokens[i].Range.Start.Byte
		}
	}
	return -1
}

// tooDeepJSON is tooDeepHCL of JSON, whose strings are templates of HCL: whatever could
// be a bracket or a sign in one of them counts, escaped, too.
func tooDeepJSON(src []byte) int {
	depth, inside := 0, 0
	text, escaped := false, false
	for i, c := range src {
		switch {
		case text && (c < ' ' || c == '"' && !escaped):
			text, inside = false, 0
		case text:
			if strings.IndexByte(`\[{(!-`, c) >= 0 {
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
