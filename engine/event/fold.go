package event

// Fold returns the form in which two names of one account, or of one domain, are equal. FreeSWITCH
// compares both with strcasecmp, which ignores the case of A to Z. A name without these is returned
// as it is, without an allocation.
//
// Trap: [strings.ToLower] and [strings.EqualFold] fold further letters, such as the Kelvin sign.
// To FreeSWITCH, names that differ in them are of different accounts.
func Fold(name string) string {
	for i := range len(name) {
		if isCapital(name[i]) {
			folded := []byte(name)
			for ; i < len(folded); i++ {
				if isCapital(folded[i]) {
					folded[i] += 'a' - 'A'
				}
			}
			return string(folded)
		}
	}
	return name
}

func isCapital(c byte) bool { return 'A' <= c && c <= 'Z' }
