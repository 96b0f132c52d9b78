package logfile

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
