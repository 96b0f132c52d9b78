package engine

import (
	"cmp"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// tallies counts the changes of each rule on each source.
type tallies map[tallied]*status.Tally

type tallied struct{ rule, source string }

func (t tallies) count(c *ban.Change) {
	key := tallied{c.Rule, c.Source}
	one := t[key]
	if one == nil {
		one = &status.Tally{Rule: c.Rule, Source: c.Source}
		t[key] = one
	}
	switch c.Kind {
	case ban.KindBan, ban.KindExtend:
		one.Bans++
		one.LastBan = c.At
	case ban.KindUnban, ban.KindExpire:
		one.Unbans++
	case ban.KindAlert:
		one.Alerts++
	case ban.KindRefuse, ban.KindSpare:
		if !c.Standing {
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
