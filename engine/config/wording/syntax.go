package wording

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/regex"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Syntax says what is wrong with a file that does not parse, of which HCL has given diagnostics: one for
// each line at most. What follows from a missing quote is left out.
func Syntax(src []byte, diags hcl.Diagnostics) hcl.Diagnostics {
	if !diags.HasErrors() || diags[0].Subject == nil {
		return diags
	}
	f := newFile(src, diags[0].Subject.Filename)
	var found hcl.Diagnostics
	for _, look := range []func() hcl.Diagnostics{f.sections, f.tokens} {
		found = append(found, look()...)
	}
	said := map[int]bool{}
	found = slices.DeleteFunc(found, func(d *hcl.Diagnostic) bool {
		again := said[d.Subject.Start.Line]
		said[d.Subject.Start.Line] = true
		return again
	})
	for _, diag := range diags {
		// HCL places the end of the file where a heredoc has none; reword finds its first line.
		if said[diag.Subject.Start.Line] && diag.Summary != unended {
			continue
		}
		if diag = f.reword(diag); !said[diag.Subject.Start.Line] {
			said[diag.Subject.Start.Line] = true
			found = append(found, diag)
		}
	}
	slices.SortStableFunc(found, func(a, b *hcl.Diagnostic) int { return a.Subject.Start.Byte - b.Subject.Start.Byte })
	for i, diag := range found {
		if diag.Summary == quoteMissing || diag.Summary == otherFormat {
			return found[:i+1]
		}
	}
	return found
}

// Summaries of mistakes of which others follow.
const (
	quoteMissing = "Quote missing"
	otherFormat  = "Not a rule file"
	unended      = "Unterminated template string" // of HCL
)

// A file is one that does not parse.
type file struct {
	name  string
	src   []byte
	lines [][]byte
	start []int // the first byte of each line
}

func newFile(src []byte, name string) *file {
	f := &file{name: name, src: src}
	at := 0
	for line := range bytes.Lines(src) {
		f.lines = append(f.lines, bytes.TrimRight(line, "\r\n"))
		f.start = append(f.start, at)
		at += len(line)
	}
	return f
}

// line returns the text of a line, counted from 1.
func (f *file) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return string(f.lines[n-1])
}

// at is the range of columns, in bytes, of a line that is counted from 1.
func (f *file) at(line, from, to int) *hcl.Range {
	text := f.line(line)
	from, to = min(from, len(text)), min(to, len(text))
	start := 0
	if line >= 1 && line <= len(f.start) {
		start = f.start[line-1]
	}
	pos := func(column int) hcl.Pos {
		return hcl.Pos{Line: line, Column: 1 + len([]rune(text[:column])), Byte: start + column}
	}
	return &hcl.Range{Filename: f.name, Start: pos(from), End: pos(to)}
}

func mistake(at *hcl.Range, summary, format string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: at}
}

// section is the heading of an INI file.
var section = regex.New(`^\s*\[[A-Za-z][\w.-]*\]\s*$`)

// sections finds the form of another program's files.
func (f *file) sections() hcl.Diagnostics {
	for i := range f.lines {
		if section.Use().Match(f.lines[i]) {
			return hcl.Diagnostics{mistake(f.at(i+1, 0, len(f.lines[i])), otherFormat,
				"A section in brackets is of fail2ban's files, or of another program's. A rule looks like this: rule \"guessing\" { on = local.switch … }. "+
					"For maxretry, findtime and bantime it has threshold { count = 5, within = \"10m\" } and ban { for = \"1h\" }, each attribute in a line of its own; for ignoreip there is trusted \"office\" { networks = […] }.")}
		}
	}
	return nil
}

// tokens finds what stands without quotes, or in wrong ones, up to the first missing quote.
func (f *file) tokens() (found hcl.Diagnostics) {
	tokens, _ := hclsyntax.LexConfig(f.src, f.name, hcl.InitialPos)
	add := func(from, to hclsyntax.Token, summary, format string, args ...any) {
		rng := hcl.RangeBetween(from.Range, to.Range)
		found = append(found, mistake(&rng, summary, format, args...))
	}
	looked := 0 // a line, at its first quote: quotes within ${…} are in pairs of their own
	for i, t := range tokens {
		next := tokens[min(i+1, len(tokens)-1)]
		gap := next.Range.Start.Byte - t.Range.End.Byte
		first := t.Type == hclsyntax.TokenOQuote && t.Range.Start.Line != looked
		if first {
			looked = t.Range.Start.Line
		}
		switch {
		case first && f.unclosed(tokens[i:]):
			line := f.line(t.Range.Start.Line)
			column := t.Range.Start.Byte - f.start[t.Range.Start.Line-1]
			found = slices.DeleteFunc(found, func(d *hcl.Diagnostic) bool { return d.Subject.Start.Line == t.Range.Start.Line })
			return append(found, mistake(f.at(t.Range.Start.Line, column, len(line)), quoteMissing, "A double quote is missing in this line: a text has one at each end."))
		case t.Type == hclsyntax.TokenNumberLit && bytes.Count(t.Bytes, []byte(".")) > 1:
			end := t
			if i+2 < len(tokens) && next.Type == hclsyntax.TokenSlash && tokens[i+2].Type == hclsyntax.TokenNumberLit {
				end = tokens[i+2]
			}
			text := string(f.src[t.Range.Start.Byte:end.Range.End.Byte])
			add(t, end, "Quotes missing", "An address or a network stands in double quotes: write %s.", strconv.Quote(text))
		case t.Type == hclsyntax.TokenNumberLit && next.Type == hclsyntax.TokenIdent && gap <= 1 && unit.Use().Match(next.Bytes):
			text := string(f.src[t.Range.Start.Byte:next.Range.End.Byte])
			written := strconv.Quote(text)
			if gap == 1 {
				written = strconv.Quote(string(t.Bytes) + string(next.Bytes)[:1])
			}
			add(t, next, "Quotes missing", "A duration stands in double quotes, without a space: write %s.", written)
		case t.Type == hclsyntax.TokenApostrophe:
			add(t, t, "Single quotes", "A text stands in double quotes: match = \"event == 'auth_failure'\". Single quotes are for texts within it.")
		case t.Type == hclsyntax.TokenSemicolon:
			add(t, t, "Semicolon", "A line ends without a semicolon. Each attribute has a line of its own.")
		case bytes.HasPrefix(t.Bytes, []byte("“")) || bytes.HasPrefix(t.Bytes, []byte("”")) || bytes.HasPrefix(t.Bytes, []byte("‘")) || bytes.HasPrefix(t.Bytes, []byte("’")):
			add(t, t, "Curly quotes", "These are quotes of a word processor or a web page. Write straight ones: \" around a text, ' within it.")
		}
	}
	return found
}

// unclosed reports whether the text whose quote is first among the tokens is not closed in its line, or is
// closed by the quote of another text.
func (f *file) unclosed(tokens hclsyntax.Tokens) bool {
	line := tokens[0].Range.Start.Line
	quotes := 0
	for _, t := range tokens {
		if t.Range.Start.Line != line || t.Type == hclsyntax.TokenNewline {
			break
		}
		if t.Type == hclsyntax.TokenOQuote || t.Type == hclsyntax.TokenCQuote {
			quotes++
		}
		if t.Range.End.Line != line && t.Type == hclsyntax.TokenQuotedLit {
			return true
		}
	}
	return quotes%2 == 1
}

// unit is what may follow the number of a duration.
var unit = regex.New(`^(?i)(ms|s|m|h|d|w|y|min|sec|hour|day|week|month|year)[a-z]*([0-9]+[a-z]+)*$`)

// Forms of a line.
var (
	colon    = regex.New(`^\s*([A-Za-z_]\w*)\s*:\s*\S`)
	noEquals = regex.New(`^\s*([A-Za-z_]\w*)\s+("[^"]*"|[0-9]\w*)\s*$`)
	comment  = regex.New(`^\s*(--|;|%|'|<!--|REM\b)`)
	quoted   = regex.New(`"[^"]*"\S*[^",\]}\s]`)
)

// reword gives a diagnostic of HCL the words of an operator.
func (f *file) reword(diag *hcl.Diagnostic) *hcl.Diagnostic {
	n := diag.Subject.Start.Line
	line := f.line(n)
	first := len(line) - len(strings.TrimLeft(line, " \t"))
	all := f.at(n, first, len(line))
	if comment.Use().MatchString(line) {
		return mistake(all, "Not a comment", "A comment begins with #, or with //.")
	}
	if m := colon.Use().FindStringSubmatch(line); m != nil {
		return mistake(all, "Colon", "An attribute has an equals sign: %s = …", m[1])
	}
	if m := noEquals.Use().FindStringSubmatch(line); m != nil {
		return mistake(all, "No equals sign", "An attribute has an equals sign: %s = …", m[1])
	}
	switch diag.Summary {
	case "Invalid escape sequence":
		return mistake(diag.Subject, "Backslash", "A backslash in double quotes has a meaning of its own. In a pattern write [.] for a dot, [0-9] for a digit and [ ] for a space; "+
			"or put the expression into a heredoc and the pattern into backticks: `friendly\\.scanner`. In a path or another text write two: \\\\.")
	case "Unclosed configuration block":
		return f.unclosedBlock(diag)
	case unended:
		return f.heredoc(diag)
	case "Invalid single-argument block definition":
		return mistake(diag.Subject, "Two attributes in a line", "A block in one line has one attribute. Write each attribute in a line of its own, without commas between them.")
	case "Unexpected comma after argument":
		return mistake(diag.Subject, "Comma", "A line ends without a comma. Each attribute has a line of its own.")
	case "Missing item separator":
		return mistake(diag.Subject, "Comma missing", "The entries of a list have commas between them: [\"one\", \"two\"].")
	case "Missing newline after argument":
		if quoted.Use().MatchString(line) {
			return mistake(all, "Quotes within quotes", "The text ends at its second double quote. Within a text in double quotes write single ones: match = \"event == 'auth_failure'\".")
		}
		return mistake(diag.Subject, "Not the end of the line", "The value of the attribute ends before this. Write a text in double quotes, and each attribute in a line of its own.")
	case "Argument or block definition required", "Invalid argument name":
		if strings.HasPrefix(strings.TrimSpace(line), "}") {
			return mistake(diag.Subject, "Brace too many", "No block is open here that this brace could close. Remove it, or look for a brace too many above.")
		}
		return mistake(all, "Neither attribute nor block", "Write an attribute, such as count = 5, or a block, such as ban {}. A comment begins with #.")
	case "Invalid block definition":
		return mistake(all, "Neither attribute nor block", "Write an attribute with an equals sign, such as count = 5, or a block whose brace is in the same line, such as ban {.")
	}
	return diag
}

// header is the first line of a block at the top of a file.
var header = regex.New(`^(rule|source|action|trusted|locals|security|admin|numbering|geoip|history|fleet)\b.*\{\s*$`)

// unclosedBlock finds where the brace is missing: before the next block at the top of the file.
func (f *file) unclosedBlock(diag *hcl.Diagnostic) *hcl.Diagnostic {
	for n := diag.Subject.Start.Line + 1; n <= len(f.lines); n++ {
		if m := header.Use().FindStringSubmatch(f.line(n)); m != nil {
			return mistake(diag.Subject, "Brace missing", "The block that opens here, or one in it, is not closed. A %s block begins in line %d: the brace is missing before it.", m[1], n)
		}
	}
	return mistake(diag.Subject, "Brace missing", "The block that opens here, or one in it, is not closed before the end of the file: a } is missing.")
}

var opening = regex.New(`<<-?\s*([A-Za-z_]\w*)\s*$`)

// heredoc finds where the heredoc begins that does not end.
func (f *file) heredoc(diag *hcl.Diagnostic) *hcl.Diagnostic {
	for n := min(diag.Subject.Start.Line, len(f.lines)); n > 0; n-- {
		if m := opening.Use().FindStringSubmatchIndex(f.line(n)); m != nil {
			word := f.line(n)[m[2]:m[3]]
			return mistake(f.at(n, m[0], m[1]), "Heredoc not ended", "The text that begins here has no end. Write %s alone in a line behind its last one.", word)
		}
	}
	return diag
}
