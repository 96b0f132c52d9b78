package event

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// DidYouMean returns a sentence that suggests the known word nearest to given,
// with a space before it. It is empty if no known word is near.
func DidYouMean(given string, known []string) string {
	if best := Nearest(given, known); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// Nearest returns the known word with the smallest edit distance from given, of at
// most about a third of its length; the first on a tie, "" if there is none. Case
// is ignored.
func Nearest(given string, known []string) string {
	return nearest(given, known, min(len(given)/3+1, len(given)-1))
}

// Mistyped returns the known word that differs from given by at most two edits, or
// by one if given is too short for two. It is stricter than [Nearest]: use it where
// an operator may also choose a name.
func Mistyped(given string, known []string) string {
	return nearest(given, known, min(2, 1+len(given)/5))
}

// nearest returns the known word with the smallest edit distance, of at most limit.
func nearest(given string, known []string, limit int) string {
	const longest = 64 // bytes; the distance takes quadratic time
	best := ""
	for _, word := range known {
		if len(given) > longest || len(word) > longest {
			continue
		}
		if d := levenshtein.Distance(strings.ToLower(given), strings.ToLower(word), nil); d <= limit {
			best, limit = word, d-1
		}
	}
	return best
}
