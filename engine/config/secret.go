package config

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"freeswitch-security/engine/event"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Attributes whose values are secrets, or hold them: the address of a webhook is
// often all that it takes to write there.
var (
	secretNames = []string{"password", "secret", "token", "key", "url", "headers", "vars"}
	secretWords = []string{"passw", "secret", "token", "authorization", "api_key"} // also within a name
)

// isSecret tells it by a name, which may be misspelt: that is when its line is printed.
func isSecret(name string) bool {
	lower := strings.ToLower(name)
	within := func(word string) bool { return strings.Contains(lower, word) }
	return slices.ContainsFunc(secretWords, within) || event.Mistyped(name, secretNames) != ""
}

// covered are the lines of a file with asterisks in the place of secrets, one for
// each character: what is printed may go to a log that more people read than the
// rule files.
func covered(filename string, src []byte) []string {
	v := veil{json: strings.HasSuffix(filename, ".json")}
	var lines []string
	for line := range bytes.SplitSeq(src, []byte{'\n'}) {
		lines = append(lines, v.cover(bytes.TrimRight(line, "\r")))
	}
	return lines
}

// A shown has the lines of files as they may be shown, by their paths, once they were
// asked for.
type shown map[string][]string

// line is the one in which a byte of a file stands.
func (s shown) line(filename string, src []byte, offset int) string {
	if s[filename] == nil {
		s[filename] = covered(filename, src)
	}
	return s[filename][bytes.Count(src[:offset], []byte{'\n'})]
}

// unquoted is what a diagnostic says without the word that it points at, if that is
// covered: whoever forgets the quotes around a password has it taken for a variable.
func (s shown) unquoted(diag *hcl.Diagnostic, src []byte) string {
	rng := diag.Subject
	word := string(rng.SliceBytes(src))
	if !strings.Contains(diag.Detail, strconv.Quote(word)) {
		return diag.Detail
	}
	before := src[bytes.LastIndexByte(src[:rng.Start.Byte], '\n')+1 : rng.Start.Byte]
	line := []rune(s.line(rng.Filename, src, rng.Start.Byte))
	from := min(len(line), utf8.RuneCount(before))
	to := min(len(line), from+utf8.RuneCountInString(word))
	return strings.ReplaceAll(diag.Detail, strconv.Quote(word), strconv.Quote(string(line[from:to])))
}

// A veil covers the secrets of a file line by line. It reads each line on its own: a
// quote that is missing in one would turn all that follow inside out.
type veil struct {
	json bool

	// What the lines before left open of a secret. The next one is covered as a whole.
	brackets int
	heredoc  string // its marker
	quote    bool
	value    bool // there was no more than "name ="
}

// cover is a line as it may be shown.
func (v *veil) cover(line []byte) string {
	switch {
	case v.heredoc != "":
		if string(bytes.TrimSpace(line)) == v.heredoc {
			v.heredoc = ""
		}
		return stars(line)
	case v.quote:
		v.quote = !bytes.Contains(line, []byte{'"'})
		return stars(line)
	}
	tokens := v.tokens(line)
	if v.brackets > 0 || v.value {
		v.read(tokens)
		return stars(line)
	}
	for i, t := range tokens {
		switch {
		case !isSecret(string(t.Bytes)):
		case t.Type == hclsyntax.TokenComment:
			return string(line[:t.Range.Start.Byte]) + stars(line[t.Range.Start.Byte:])
		case t.Type == hclsyntax.TokenIdent && (i == 0 || tokens[i-1].Type != hclsyntax.TokenDot), t.Type == hclsyntax.TokenQuotedLit && isKey(tokens[i+1:]):
			return v.behind(line, tokens[i+1:])
		}
	}
	return string(line)
}

// tokens are those of one line; the last is the end of it.
func (v *veil) tokens(line []byte) hclsyntax.Tokens {
	text := append(bytes.Clone(line), '\n') // which a heredoc's marker needs
	if v.json {
		for i, c := range text {
			if c == '$' || c == '%' {
				text[i] = '_' // no template: in one, \" would be no quote
			}
		}
	}
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos) // a mistake has been told
	return tokens
}

// isKey reports whether a text is the name of something, by what follows it.
func isKey(next hclsyntax.Tokens) bool {
	return next[0].Type == hclsyntax.TokenCQuote && (next[1].Type == hclsyntax.TokenColon || next[1].Type == hclsyntax.TokenEqual)
}

// behind is a line in which a secret's name stands before the tokens.
func (v *veil) behind(line []byte, tokens hclsyntax.Tokens) string {
	secret := v.read(tokens)
	var b strings.Builder
	at := 0
	for i, t := range tokens {
		from, to := min(t.Range.Start.Byte, len(line)), min(t.Range.End.Byte, len(line))
		b.Write(line[at:from])
		if at = to; secret[i] {
			b.WriteString(stars(line[from:to]))
		} else {
			b.Write(line[from:to])
		}
	}
	return b.String()
}

// read tells which of the tokens behind a secret's name may be part of it, and notes
// what they leave open.
func (v *veil) read(tokens hclsyntax.Tokens) []bool {
	secret := make([]bool, len(tokens))
	last, quotes := hclsyntax.TokenNewline, 0
	for i, t := range tokens {
		secret[i] = quotes > 0
		switch t.Type {
		case hclsyntax.TokenOQuote:
			quotes++
		case hclsyntax.TokenCQuote:
			quotes = max(0, quotes-1) // there is one behind a name in quotes
			secret[i] = quotes > 0
		case hclsyntax.TokenQuotedLit:
			secret[i] = !isSource(tokens, i)
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			v.brackets++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			v.brackets = max(0, v.brackets-1)
		case hclsyntax.TokenOHeredoc:
			v.heredoc = strings.TrimSpace(strings.TrimLeft(string(t.Bytes), "<-"))
		case hclsyntax.TokenEqual, hclsyntax.TokenColon, hclsyntax.TokenComma, hclsyntax.TokenDot, hclsyntax.TokenSemicolon:
		case hclsyntax.TokenNewline, hclsyntax.TokenQuotedNewline, hclsyntax.TokenEOF:
			continue
		default:
			secret[i] = quotes > 0 || !isSource(tokens, i)
		}
		last = t.Type
	}
	v.quote = quotes > 0
	v.value = last == hclsyntax.TokenEqual || last == hclsyntax.TokenColon
	return secret
}

// isSource reports whether a token says where a value comes from: it is in
// env("NAME"), file("path") or local.name, or names what is set.
func isSource(tokens hclsyntax.Tokens, i int) bool {
	is := func(i int, kind hclsyntax.TokenType, words ...string) bool {
		return i >= 0 && tokens[i].Type == kind && (words == nil || slices.Contains(words, string(tokens[i].Bytes)))
	}
	switch tokens[i].Type {
	case hclsyntax.TokenIdent:
		return is(i+1, hclsyntax.TokenEqual) || is(i, hclsyntax.TokenIdent, "env", "file", "local") ||
			is(i-1, hclsyntax.TokenDot) && is(i-2, hclsyntax.TokenIdent, "local")
	case hclsyntax.TokenQuotedLit:
		return is(i-1, hclsyntax.TokenOQuote) && is(i-2, hclsyntax.TokenOParen) && is(i-3, hclsyntax.TokenIdent, "env", "file")
	}
	return false
}

// stars has an asterisk for each character, and tabs, by which carets are aligned.
func stars(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return '*'
	}, string(text))
}
