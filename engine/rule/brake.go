package rule

import "slices"

// A brakeLog remembers when a rule caused its latest new bans: as many as its
// brake allows, which is all that is needed to tell whether it allows another.
type brakeLog []int64 // microseconds, ascending

// charge adds a ban.
func (b *brakeLog) charge(at int64, brake *Brake) {
	i, _ := slices.BinarySearch(*b, at+1)
	*b = slices.Insert(*b, i, at)
	if surplus := len(*b) - brake.Bans; surplus > 0 {
		*b = slices.Delete(*b, 0, surplus)
	}
}

// used reports whether as many bans as the brake allows lie in the time that
// ends at at; later ones, of events that overtook this one, count too.
func (b brakeLog) used(at int64, brake *Brake) bool {
	i, _ := slices.BinarySearch(b, at-brake.Within.Microseconds())
	return len(b)-i >= brake.Bans
}
