package email

import (
	"slices"
	"time"

	"freeswitch-security/engine/ban"
)

// Bounds of a digest.
const (
	maxShown  = 50  // changes in full
	maxGroups = 200 // kinds and rules that are counted
)

// A digest is what one mail tells. Its zero value is empty.
type digest struct {
	since time.Time // of the first change
	total int
	shown []ban.Change // the first ones
	more  []count      // the others
	lost  int          // changes before these that no mail tells
}

// A count is how many changes of one kind and rule there were.
type count struct {
	kind ban.Kind
	rule string
	n    int
}

// add adds a change at the time now. It keeps no more than its bounds.
func (d *digest) add(c *ban.Change, now time.Time) {
	if d.total == 0 {
		d.since = now
	}
	d.total++
	if len(d.shown) < maxShown {
		one := *c
		one.Evidence = slices.Clone(c.Evidence[max(0, len(c.Evidence)-1):])
		d.shown = append(d.shown, one)
		return
	}
	rule := c.Rule
	if len(d.more) >= maxGroups {
		rule = "other rules"
	}
	i := slices.IndexFunc(d.more, func(one count) bool { return one.kind == c.Kind && one.rule == rule })
	if i < 0 {
		i = len(d.more)
		d.more = append(d.more, count{kind: c.Kind, rule: rule})
	}
	d.more[i].n++
}
