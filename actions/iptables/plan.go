package iptables

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/ban"
)

// A goal is what the action's chain in one table of one family should be.
type goal struct {
	table, chain string
	hooks        []string
	matches      []string // of the jumps, in order
	target       string
	sets         []*set       // the sets to look up; nil: one rule for each ban
	bans         expiries     // what must be in force, by rule or in a set
	ownSets      []string     // lookups that a rule of ours may do: see [set]
	mayMove      bool         // a jump that is too low may be moved up
	adopted      []ban.Target // drops by hand that stay until their bans are applied
}

// own reports whether a rule of the chain is ours: a ban, with its target, or a set
// rule.
func (g *goal) own(spec string) (target ban.Target, ok bool) {
	if target, _, isBan := parseBanRule(spec); isBan {
		return target, true
	}
	return target, slices.ContainsFunc(g.ownSets, func(lookup string) bool { return isSetRule(spec, lookup) })
}

// hook names a chain of the goal's table.
func (g *goal) hook(chain string) string { return hook{g.table, chain}.String() }

// A plan is what must be done to one table, and why.
type plan struct {
	repair
	table      string
	lines      []string // for iptables-restore
	conditions []string // what stays as it is, for the operator
	jumped     []string // hooks whose jump is written
	moved      bool     // a jump is moved
	limited    string   // why a jump that is too low is not moved; ""
	onTop      bool     // bans are inserted on top of the chain: below a catch-all they have no effect
}

// planTable compares a table with its goal. Invariant: it only computes; equal
// arguments give equal plans, and the plan of a table that agrees has no lines.
func planTable(l listing, g goal) plan {
	p := plan{table: g.table}
	rules, exists := l[g.chain]
	if !exists {
		p.note("chain %s was missing", g.chain)
		p.add("-N " + g.chain)
	}
	p.planChain(l, rules, g)
	for _, hook := range g.hooks {
		p.planHook(l, hook, g)
	}
	return p
}

func (p *plan) add(lines ...string) { p.lines = append(p.lines, lines...) }

func (p *plan) note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if p.table != "filter" {
		note = "table " + p.table + ": " + note
	}
	p.notes = append(p.notes, note)
}

func (p *plan) condition(format string, args ...any) {
	p.conditions = append(p.conditions, fmt.Sprintf(format, args...))
}

// planChain compares the rules of our chain. -D deletes the first rule of its form, so
// a rule that exists twice or below a catch-all is deleted wholly and written once.
func (p *plan) planChain(l listing, rules []string, g goal) {
	wanted := map[string]ban.Target{} // rule → its ban; the rule of a set has none
	for _, s := range g.sets {
		wanted[setRule(s.lookup(), g.target)] = ban.Target{}
	}
	if g.sets == nil {
		for target := range g.bans.all() {
			wanted[banRule(target, g.target)] = target
		}
	}
	catchAll := slices.IndexFunc(rules, l.catchAll)
	p.onTop = catchAll >= 0
	copies := map[string]int{}
	dead := map[string]bool{} // a copy is below the catch-all
	for i, spec := range rules {
		bare := bareTarget(spec)
		copies[bare]++
		dead[bare] = dead[bare] || p.onTop && i > catchAll
	}

	for _, spec := range rules {
		bare := bareTarget(spec)
		_, isWanted := wanted[bare]
		target, own := g.own(spec)
		_, banned := g.bans.get(target)
		switch {
		case !own:
			p.condition("foreign rule in %s is kept: %s", g.hook(g.chain), clip(spec))
			continue
		case isWanted && copies[bare] == 1 && !dead[bare], !banned && slices.Contains(g.adopted, target):
			continue
		case !target.IsValid(): // the rule of a set
		case !banned, isWanted && copies[bare] > 1:
			p.surplus = append(p.surplus, target)
		}
		p.add("-D " + g.chain + " " + spec)
	}

	for _, spec := range slices.Sorted(maps.Keys(wanted)) {
		if copies[spec] == 1 && !dead[spec] {
			continue
		}
		p.place(g.chain, spec)
		switch target := wanted[spec]; {
		case copies[spec] > 1 && !dead[spec]: // it was in force
		case !target.IsValid():
			p.note("rule %s was missing from chain %s", spec, g.chain)
		default:
			p.missing = append(p.missing, target)
		}
	}
}

// place adds a rule where it has an effect.
func (p *plan) place(chain, spec string) {
	if p.onTop {
		p.add("-I " + chain + " 1 " + spec)
	} else {
		p.add("-A " + chain + " " + spec)
	}
}

// planHook makes every packet of a hook pass our chain before a rule that could accept
// it.
func (p *plan) planHook(l listing, hook string, g goal) {
	rules, exists := l[hook]
	if !exists {
		p.condition("waiting for chain %s", g.hook(hook))
		return
	}
	wanted := make([]string, len(g.matches))
	for i, match := range g.matches {
		wanted[i] = jumpRule(match, g.chain)
	}
	above := "" // the first rule that could accept a packet
	low := false
	copies := map[string]int{}
	var old []string
	for i, spec := range rules {
		switch {
		case slices.Contains(wanted, spec):
			copies[spec]++
			low = low || above != ""
			old = append(old, spec)
		case isOwnJump(spec, g.chain):
			p.add("-D " + hook + " " + spec)
			p.note("jump from %s had another form: %s", hook, clip(spec))
		case above == "" && l.letsPass(spec, g.chain):
			above = fmt.Sprintf("rule %d (%s)", i+1, clip(spec))
		}
	}

	complete := !slices.ContainsFunc(wanted, func(s string) bool { return copies[s] != 1 })
	switch {
	case complete && !low:
		return
	case complete && !g.mayMove:
		p.limited = fmt.Sprintf("another program keeps moving the jump from %s down, below %s", g.hook(hook), above)
		p.condition("%s", p.limited)
		return
	case complete:
		p.moved = true
		p.note("jump from %s was below %s", hook, above)
	case len(copies) < len(wanted):
		p.note("jump from %s was missing", hook)
	default:
		p.note("jump from %s existed more than once", hook)
	}
	for _, spec := range old {
		p.add("-D " + hook + " " + spec)
	}
	for _, spec := range slices.Backward(wanted) {
		p.add("-I " + hook + " 1 " + spec)
	}
	p.jumped = append(p.jumped, hook)
}

// planRemoval removes everything of ours from a table: our rules in the chain, the
// jumps of our form, and the chain itself unless a foreign rule needs it.
func planRemoval(l listing, g goal) plan {
	p := plan{table: g.table}
	rules, exists := l[g.chain]
	if !exists {
		return p
	}
	free := true
	for _, spec := range rules {
		if _, own := g.own(spec); own {
			p.add("-D " + g.chain + " " + spec)
		} else {
			free = false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		for _, spec := range l[name] {
			if isOwnJump(spec, g.chain) {
				p.add("-D " + name + " " + spec)
			} else if slices.Contains(words(spec), g.chain) {
				free = false
			}
		}
	}
	if free {
		p.add("-X " + g.chain)
	}
	return p
}

// restoreInput returns the input of iptables-restore for plans, each table in one
// commit.
func restoreInput(plans []plan) string {
	var b strings.Builder
	for _, p := range plans {
		if len(p.lines) > 0 {
			b.WriteString("*" + p.table + "\n" + strings.Join(p.lines, "\n") + "\nCOMMIT\n")
		}
	}
	return b.String()
}

// clip shortens a foreign rule for a note.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
