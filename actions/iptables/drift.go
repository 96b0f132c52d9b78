package iptables

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// A repair says what the kernel lacked, what it had in excess, and what else was wrong.
type repair struct {
	missing, surplus []ban.Target
	notes            []string
}

// maxByHand bounds the rules by hand of one look. More of them are a file of iptables-save.
const maxByHand = 10

// byHand returns the drops that an operator may have added: no ban wants them, and nothing else was
// changed. Saved rules that are restored bring bans that are over.
func (f *family) byHand(plans []plan, set repair) (found []ban.Target) {
	for _, p := range plans {
		if len(p.missing)+len(p.notes) > 0 {
			return nil
		}
		for _, target := range p.surplus {
			if _, banned := f.desired.bans.get(target); !banned {
				found = append(found, target)
			}
		}
	}
	if found = distinct(found); len(set.missing)+len(set.notes) > 0 || len(found) > maxByHand {
		return nil
	}
	return found
}

// drift returns what the plans and the set repaired.
func (f *family) drift(plans []plan, all repair) plugin.Drift {
	var conditions []string
	for _, p := range plans {
		all.missing = append(all.missing, p.missing...)
		all.surplus = append(all.surplus, p.surplus...)
		all.notes = append(all.notes, p.notes...)
		conditions = append(conditions, p.conditions...)
	}
	missing, surplus := distinct(all.missing), distinct(all.surplus)
	if len(surplus) > 0 {
		var names []string
		for _, target := range surplus {
			names = append(names, target.String())
		}
		all.notes = append(all.notes, "removed: "+strings.Join(first(5, names), ", "))
	}
	for i, note := range all.notes {
		all.notes[i] = f.name + ": " + note
	}
	return plugin.Drift{Missing: len(missing), Surplus: len(surplus), Notes: append(all.notes, f.news(conditions)...)}
}

// distinct sorts a list and removes duplicates: a ban is in several tables.
func distinct(list []ban.Target) []ban.Target {
	slices.SortFunc(list, ban.Target.Compare)
	return slices.Compact(list)
}

// first returns the first most texts, and the number of the others.
func first(most int, texts []string) []string {
	if more := len(texts) - most; more > 0 {
		return append(texts[:most:most], fmt.Sprintf("and %d more", more))
	}
	return texts
}

// news returns the conditions that did not exist at the last Resync.
func (f *family) news(conditions []string) (notes []string) {
	now := map[string]bool{}
	for _, c := range first(20, conditions) {
		now[c] = true
		if !f.reported[c] {
			notes = append(notes, f.name+": "+c)
		}
	}
	f.reported = now
	return notes
}
