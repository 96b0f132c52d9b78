package event

import (
	"fmt"
	"strings"
)

// DidYouMean gives the sentence that names the word which was most likely meant,
// with a space before it; "" where none of the known ones comes near.
func DidYouMean(given string, known []string) string {
	if best := Nearest(given, known); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// Nearest is the known word that differs least from what was given, if that is in
// about a third of it at the most; the first one on a tie, and "" if there is
// none. Capitals do not count.
func Nearest(given string, known []string) string {
	return nearest(given, known, min(len(given)/3+1, len(given)-1))
}

// Mistyped is the known word that given is a slip of: it differs by two edits, or
// by one where the word is so short that two would make it any other. It is
// stricter than [Nearest], for words of the operator's own that are allowed.
func Mistyped(given string, known []string) string {
	if len(given) <= 4 {
		return nearest(given, known, 1)
	}
	return nearest(given, known, 2)
}

// nearest is the known word with the smallest edit distance, of at most limit.
func nearest(given string, known []string, limit int) string {
	const longest = 64 // bytes; nobody mistypes more than that, and the distance is quadratic
	best := ""
	for _, word := range known {
		if len(given) > longest || len(word) > longest {
			continue
		}
		if d := editDistance(strings.ToLower(given), strings.ToLower(word)); d <= limit {
			best, limit = word, d-1
		}
	}
	return best
}

// editDistance is Levenshtein's: the bytes to insert, remove or replace that make
// b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
