package webhook

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"freeswitch-security/engine/regex"
)

// plain turns a text into one line of printable characters: line breaks become blanks,
// and control characters and marks of writing direction become U+FFFD.
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

// noMention replaces an @, so that @everyone mentions no one.
const noMention = "@\u200b"

var (
	slackEscapes  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", noMention, "`", "'")
	markdownLinks = strings.NewReplacer("@", noMention, "://", ":\u200b//") // what becomes a link without a mark
	markdownMarks = regex.New("[\\\\`*_{}\\[\\]()#+\\-.!|~<>]")
)

// slack escapes a text for Slack's mrkdwn: no link, no mention, no end of a code span.
func slack(s string) string { return slackEscapes.Replace(plain(s)) }

// markdown escapes a text for Markdown as Discord and others read it, with HTML, links
// and mentions.
func markdown(s string) string {
	return markdownMarks.Use().ReplaceAllString(markdownLinks.Replace(plain(s)), `\$0`)
}

// truncate cuts a text to n characters, the last of them an ellipsis if something was
// cut off. Call it before an escape, which it could cut in two.
func truncate(n int, s string) string {
	if n < 1 {
		return ""
	}
	if all := []rune(s); len(all) > n {
		return string(all[:n-1]) + "…"
	}
	return s
}
