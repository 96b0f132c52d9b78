package config

import (
	"fmt"
	"strings"
)

// didYouMean gives the sentence that names the candidate nearest to what was
// written, with a space before it; "" where none is near.
func didYouMean(given string, candidates []string) string {
	if best := nearest(given, candidates); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// nearest is the candidate that was most likely meant, or "".
func nearest(given string, candidates []string) string {
	const longest = 64 // bytes; nobody mistypes more than that, and the distance is quadratic
	best, least := "", min(len(given)/3+2, len(given))
	for _, c := range candidates {
		if len(given) > longest || len(c) > longest {
			continue
		}
		if d := editDistance(strings.ToLower(given), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, remove or replace that make b of a.
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
