package rule

import "slices"

// A brakeLog holds the times of a rule's latest new bans, as many as its brake allows,
// in microseconds and ascending.
type brakeLog []int64

// charge adds a ban.
func (b *brakeLog) charge(at int64, brake *Brake) {
	i, _ := slices.BinarySearch(*b, at+1)
	*b = slices.Insert(*b, i, at)
	if surplus := len(*b) - brake.Bans; surplus > 0 {
		*b = slices.Delete(*b, 0, surplus)
	}
}

// exhausted reports whether as many bans as the brake allows are in the time that ends
// at at. Later ones, of events that came earlier than this one, count too.
func (b brakeLog) exhausted(at int64, brake *Brake) bool {
	i, _ := slices.BinarySearch(b, at-brake.Within.Microseconds())
	return len(b)-i >= brake.Bans
}
