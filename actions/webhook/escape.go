package webhook

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain makes one line of printable characters out of a text that a caller may
// have written: line breaks become blanks, and what is not printable (escape
// sequences, marks that turn the direction of writing) becomes U+FFFD.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// noMention is put behind an @, so that @everyone calls nobody.
const noMention = "@\u200b"

var (
	slackEscapes    = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", noMention, "`", "'")
	markdownEscapes = markdownReplacer()
)

// slack escapes a text for Slack's mrkdwn: no link, no <!channel>, no way out of a
// code span.
func slack(s string) string { return slackEscapes.Replace(plain(s)) }

// markdown escapes a text for Markdown, as Discord and others read it. What could
// be HTML or a mention to them is escaped, too.
func markdown(s string) string { return markdownEscapes.Replace(plain(s)) }

func markdownReplacer() *strings.Replacer {
	pairs := []string{"@", noMention, "://", ":\u200b//"} // the latter would be made a link of
	for _, r := range "\\`*_{}[]()#+-.!|~<>" {
		pairs = append(pairs, string(r), `\`+string(r))
	}
	return strings.NewReplacer(pairs...)
}

// truncate cuts a text to at most n characters, the last of them an ellipsis where
// something was cut off. It belongs before an escape, which it could cut in two.
func truncate(n int, s string) string {
	if n < 1 {
		return ""
	}
	end, count := 0, 0
	for i := range s {
		if count == n-1 {
			end = i
		}
		if count++; count > n {
			return s[:end] + "…"
		}
	}
	return s
}
