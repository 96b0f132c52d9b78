package engine

import (
	"cmp"
	"slices"

	"freeswitch-security/engine/status"
)

// tallies counts the verdicts of each rule on each source.
type tallies map[tallied]*status.Tally

type tallied struct{ rule, source string }

func (t tallies) count(v *Verdict) {
	key := tallied{v.Rule, v.Source}
	one := t[key]
	if one == nil {
		one = &status.Tally{Rule: v.Rule, Source: v.Source}
		t[key] = one
	}
	switch v.Kind {
	case Ban:
		one.Bans++
		one.LastBan = v.Time
	case Unban:
		one.Unbans++
	case Alert:
		one.Alerts++
	case Refused:
		if !v.Standing {
			one.Refusals++
		}
	}
}

// all lists copies, in the order of the rules' names and then the sources'.
func (t tallies) all() []status.Tally {
	var out []status.Tally
	for _, one := range t {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b status.Tally) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Source, b.Source))
	})
	return out
}
