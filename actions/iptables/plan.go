package iptables

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// A goal is what our chain in one table of one family should be.
type goal struct {
	table, chain string
	hooks        []string
	matches      []string // of the jumps, in order
	target       string
	set          string               // the set to look up; "" for one rule a ban
	bans         map[netip.Prefix]end // what is to be in force, by rule or in the set
	ownSets      []string             // the sets that may be ours in a rule
	mayMove      bool                 // a jump that stands too low may be moved up
}

// A plan is what has to be done to one table, and why.
type plan struct {
	table    string
	lines    []string // for iptables-restore
	missing  []netip.Prefix
	surplus  []netip.Prefix
	notes    []string
	foreign  []string // rules of others in our chain, as iptables prints them
	waiting  []string // hooks that do not exist
	held     []string // hooks whose jump stands too low and may not be moved
	jumped   []string // hooks that get a jump written
	moved    bool     // a jump is moved
	insertAt int      // bans go before this rule, counted from 1 after the deletions; 0: at the end
	inserted int      // bans that go before insertAt
}

// planTable compares a table with its goal. It only computes: equal arguments give
// equal plans, and the plan of a table that agrees has no lines.
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

// planChain compares the rules of our chain.
func (p *plan) planChain(l listing, rules []string, g goal) {
	blanket := slices.IndexFunc(rules, l.blanket)
	wanted := map[string]netip.Prefix{} // rule to be there → its ban; the set rule has none
	if g.set != "" {
		wanted[setRule(g.set, g.target)] = netip.Prefix{}
	} else {
		for target := range g.bans {
			wanted[banRule(target, g.target)] = target
		}
	}

	copies := map[string]int{} // of our rules, where they act
	dead := map[string]bool{}  // our rules that stand below a blanket
	cut := 0                   // our rules above the blanket that go
	remove := func(i int, spec string) {
		p.add("-D " + g.chain + " " + spec)
		if i < blanket {
			cut++
		}
	}
	for i, spec := range rules {
		target, _, isBan := parseBanRule(spec)
		isSet := slices.ContainsFunc(g.ownSets, func(s string) bool { return isSetRule(spec, s) })
		if !isBan && !isSet {
			p.foreign = append(p.foreign, spec)
			continue
		}
		bare := bareTarget(spec)
		if _, keep := wanted[bare]; !keep {
			remove(i, spec)
			// A wanted ban whose rule goes is one that has moved into the set.
			if _, banned := g.bans[target]; isBan && !banned {
				p.surplus = append(p.surplus, target)
			}
			continue
		}
		if blanket >= 0 && i > blanket {
			dead[bare] = true
		}
		copies[bare]++
	}
	// -D takes the first rule that fits, so a rule that stands twice or below a
	// blanket is taken out wholly and written once more.
	for i, spec := range rules {
		bare := bareTarget(spec)
		if copies[bare] > 1 || dead[bare] {
			remove(i, spec)
		}
		if copies[bare] > 1 && wanted[bare].IsValid() {
			p.surplus = append(p.surplus, wanted[bare])
		}
	}
	if blanket >= 0 {
		p.insertAt = blanket + 1 - cut
	}
	p.planMissing(g, wanted, copies, dead)
}

// planMissing adds the rules that are not there or do not act.
func (p *plan) planMissing(g goal, wanted map[string]netip.Prefix, copies map[string]int, dead map[string]bool) {
	for _, spec := range slices.Sorted(maps.Keys(wanted)) {
		if copies[spec] == 1 && !dead[spec] {
			continue
		}
		p.place(g.chain, spec)
		switch target := wanted[spec]; {
		case copies[spec] > 1 && !dead[spec]: // it was in force
		case !target.IsValid():
			p.note("the rule for set %s was missing from chain %s", g.set, g.chain)
		default:
			p.missing = append(p.missing, target)
		}
	}
}

// place adds a rule where it acts.
func (p *plan) place(chain, spec string) {
	if p.insertAt == 0 {
		p.add("-A " + chain + " " + spec)
		return
	}
	p.add(fmt.Sprintf("-I %s %d %s", chain, p.insertAt, spec))
	p.inserted++
}

// planHook sees to it that every packet of a hook meets our chain before a rule
// that could let it pass.
func (p *plan) planHook(l listing, hook string, g goal) {
	rules, exists := l[hook]
	if !exists {
		p.waiting = append(p.waiting, hook)
		return
	}
	wanted := make([]string, len(g.matches))
	for i, match := range g.matches {
		wanted[i] = jumpRule(match, g.chain)
	}
	above := "" // the first rule that could let a packet pass
	standing := map[string]int{}
	low := false
	var old []string
	for i, spec := range rules {
		switch {
		case slices.Contains(wanted, spec):
			standing[spec]++
			low = low || above != ""
			old = append(old, spec)
		case isOwnJump(spec, g.chain):
			p.add("-D " + hook + " " + spec)
			p.note("jump from %s went by another rule: %s", hook, clip(spec))
		case above == "" && l.letsPass(spec, g.chain):
			above = fmt.Sprintf("rule %d (%s)", i+1, clip(spec))
		}
	}

	complete := !slices.ContainsFunc(wanted, func(s string) bool { return standing[s] != 1 })
	switch {
	case complete && !low:
		return
	case complete && !g.mayMove:
		p.held = append(p.held, hook)
		return
	case complete:
		p.moved = true
		p.note("jump from %s stood below %s", hook, above)
	case len(standing) < len(wanted):
		p.note("jump from %s was missing", hook)
	default:
		p.note("jump from %s stood there more than once", hook)
	}
	for _, spec := range old {
		p.add("-D " + hook + " " + spec)
	}
	for _, spec := range slices.Backward(wanted) {
		p.add("-I " + hook + " 1 " + spec)
	}
	p.jumped = append(p.jumped, hook)
}

// planRemoval takes everything of ours out of a table: what is in the chain, the
// jumps that have our form, and the chain itself where nobody else uses it.
func planRemoval(l listing, g goal) plan {
	p := plan{table: g.table}
	rules, exists := l[g.chain]
	if !exists {
		return p
	}
	free := true
	for _, spec := range rules {
		_, _, isBan := parseBanRule(spec)
		if !isBan && !slices.ContainsFunc(g.ownSets, func(s string) bool { return isSetRule(spec, s) }) {
			free = false
			continue
		}
		p.add("-D " + g.chain + " " + spec)
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		for _, spec := range l[name] {
			w := words(spec)
			if isOwnJump(spec, g.chain) {
				p.add("-D " + name + " " + spec)
			} else if slices.Contains(w, g.chain) {
				free = false
			}
		}
	}
	if free {
		p.add("-X " + g.chain)
	}
	return p
}

// restoreInput is the text that makes iptables-restore carry out plans, each
// table in one commit.
func restoreInput(plans []plan) string {
	var b strings.Builder
	for _, p := range plans {
		if len(p.lines) == 0 {
			continue
		}
		b.WriteString("*" + p.table + "\n")
		for _, line := range p.lines {
			b.WriteString(line)
			b.WriteByte('\n')
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// clip shortens what others wrote, for a note.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
