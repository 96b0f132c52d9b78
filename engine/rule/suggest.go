package rule

import "fmt"

// didYouMean gives " Did you mean …?" for the candidate that word was most
// likely meant to be, and "" where none comes near.
func didYouMean(word string, candidates []string) string {
	if best := nearest(word, candidates); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// nearest is the candidate with the smallest edit distance to word, if that is
// about a third of the word's length at the most; the first one on a tie.
func nearest(word string, candidates []string) string {
	const longest = 64 // nobody mistypes more than that, and the distance is quadratic
	if len(word) > longest {
		return ""
	}
	best, least := "", min(len(word)/3+2, len(word))
	for _, c := range candidates {
		if len(c) > longest {
			continue
		}
		if d := editDistance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's, in bytes: field and event names are ASCII.
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
