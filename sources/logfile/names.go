package logfile

import "fmt"

// isName reports whether s is an identifier as rules write it: [a-z][a-z0-9_]*.
func isName(s string) bool {
	for i, b := range []byte(s) {
		small := b-'a' < 26
		if !small && (i == 0 || !isDigit(b) && b != '_') {
			return false
		}
	}
	return s != ""
}

// didYouMean is a sentence that suggests the closest known name, with a space in
// front, or nothing.
func didYouMean(name string, known []string) string {
	if suggestion := closest(name, known); suggestion != "" {
		return fmt.Sprintf(" Did you mean %q?", suggestion)
	}
	return ""
}

// closest is the known name that differs from name by at most two edits, or by
// one where name is so short that two would make it any word; "" if there is
// none.
func closest(name string, known []string) string {
	best, limit := "", 2
	if len(name) <= 4 {
		limit = 1
	}
	for _, candidate := range known {
		if d := editDistance(name, candidate); d <= limit {
			best, limit = candidate, d-1
		}
	}
	return best
}

// editDistance counts the bytes to insert, delete or replace to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
