package iptables

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
)

// carryOut is a simple iptables-restore: it carries out lines on a listing, and refuses
// what the real one refuses.
func carryOut(l listing, lines []string) error {
	for _, line := range lines {
		op, rest, _ := strings.Cut(line, " ")
		chain, spec, _ := strings.Cut(rest, " ")
		rules, exists := l[chain]
		if !exists && op != "-N" {
			return fmt.Errorf("%s: no such chain", line)
		}
		switch op {
		case "-N":
			if exists {
				return fmt.Errorf("%s: it exists", line)
			}
			l[chain] = nil
		case "-A":
			l[chain] = append(slices.Clone(rules), spec)
		case "-I":
			at, spec, _ := strings.Cut(spec, " ")
			n, err := strconv.Atoi(at)
			if err != nil || n < 1 || n > len(rules)+1 {
				return fmt.Errorf("%s: bad position among %d", line, len(rules))
			}
			l[chain] = slices.Insert(slices.Clone(rules), n-1, spec)
		case "-D":
			i := slices.Index(rules, spec)
			if i < 0 {
				return fmt.Errorf("%s: no such rule in %q", line, rules)
			}
			l[chain] = slices.Delete(slices.Clone(rules), i, i+1)
		case "-X":
			if len(rules) > 0 {
				return fmt.Errorf("%s: not empty", line)
			}
			delete(l, chain)
		default:
			return fmt.Errorf("%s: unknown", line)
		}
	}
	return nil
}

// converges plans, carries out, and checks the result: nothing is left to do, every ban
// has an effect, every jump exists, and foreign rules are as they were.
func converges(t *testing.T, before listing, g goal) {
	t.Helper()
	after := maps.Clone(before)
	p := planTable(before, g)
	if err := carryOut(after, p.lines); err != nil {
		t.Fatalf("%v\nin %q\nof %q", err, p.lines, before)
	}
	if again := planTable(after, g); len(again.lines) > 0 {
		t.Fatalf("planned again: %q\nafter %q\non %q", again.lines, p.lines, before)
	}
	for chain := range before {
		if was, is := foreign(before, chain, g), foreign(after, chain, g); !slices.Equal(was, is) {
			t.Fatalf("foreign rules in %s were %q and are %q", chain, was, is)
		}
	}
	wanted := map[string]bool{}
	for _, s := range g.sets {
		wanted[setRule(s.lookup(), g.target)] = true
	}
	if g.sets == nil {
		for ban := range g.bans.all() {
			wanted[banRule(ban, g.target)] = true
		}
	}
	for _, spec := range after[g.chain] {
		if after.catchAll(spec) {
			break
		}
		delete(wanted, bareTarget(spec))
	}
	if len(wanted) > 0 {
		t.Fatalf("%v have no effect in %q", wanted, after[g.chain])
	}
	for _, hook := range g.hooks {
		rules, exists := after[hook]
		for _, match := range g.matches {
			i := slices.Index(rules, jumpRule(match, g.chain))
			if exists && (i < 0 || g.mayMove && slices.ContainsFunc(rules[:i], func(s string) bool { return after.letsPass(s, g.chain) })) {
				t.Fatalf("%s: %q", hook, rules)
			}
		}
	}
}

// foreign returns the rules of a chain that planTable must not touch.
func foreign(l listing, chain string, g goal) (rules []string) {
	for _, spec := range l[chain] {
		_, own := g.own(spec)
		if chain == g.chain && own || chain != g.chain && isOwnJump(spec, g.chain) {
			continue
		}
		rules = append(rules, spec)
	}
	return rules
}

func TestPlansConverge(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from []string, most int) (out []string) {
		for range r.IntN(most + 1) {
			out = append(out, from[r.IntN(len(from))])
		}
		return out
	}
	sets := newFamily(&config{chain: "FREESWITCH"}, ipv4).sets[:]
	target := func() ban.Target {
		a := netip.AddrFrom4([4]byte{203, 0, 113, byte(r.IntN(6))})
		if r.IntN(3) == 0 {
			return ban.Endpoint(netip.AddrPortFrom(a, 5060), ban.UDP)
		}
		return ban.Address(a)
	}
	chainRules := []string{
		"-s 192.168.1.10/32 -p tcp -j ACCEPT", "-j RETURN", "-j ACCEPT", "-s 203.0.113.1/32 -j REJECT --reject-with icmp-port-unreachable",
		"-m set --match-set freeswitch-blocked src -j DROP", "-m set --match-set other src -j DROP", "-g OTHER",
		"-m set --match-set freeswitch-ports src,src -j DROP",
	}
	for i := range 6 {
		chainRules = append(chainRules, fmt.Sprintf("-s 203.0.113.%d/32 -j DROP", i),
			fmt.Sprintf("-s 203.0.113.%d/32 -p udp -m udp --sport 5060 -j DROP", i))
	}
	hookRules := []string{
		"-j FREESWITCH", "-p udp -j FREESWITCH", "-i eth0 -j FREESWITCH", "-i lo -j ACCEPT", "-j RETURN", "-j OTHER", "-j DROP", "-j f2b",
	}
	for range 10_000 {
		l := listing{"INPUT": pick(hookRules, 6), "OTHER": pick([]string{"-j ACCEPT", "-j RETURN"}, 1), "f2b": pick([]string{"-j RETURN"}, 1)}
		if r.IntN(5) > 0 {
			l["FREESWITCH"] = pick(chainRules, 8)
		} else {
			l["INPUT"] = slices.DeleteFunc(l["INPUT"], func(s string) bool { return strings.HasSuffix(s, "FREESWITCH") })
		}
		g := goal{
			table: "filter", chain: "FREESWITCH", hooks: []string{"INPUT", "DOCKER-USER"}[:1+r.IntN(2)],
			matches: []string{""}, target: []string{"DROP", "REJECT"}[r.IntN(2)],
			bans: expiries{}, ownSets: []string{sets[0].lookup(), sets[1].lookup()}, mayMove: r.IntN(4) > 0,
		}
		for range r.IntN(5) {
			g.bans.put(target(), permanent)
		}
		if r.IntN(2) == 0 {
			g.sets = sets[:1+r.IntN(2)]
		}
		if r.IntN(2) == 0 {
			g.matches = []string{"-p udp", "-p tcp"}
		}
		converges(t, l, g)
	}
}

func TestPlanRemoval(t *testing.T) {
	g := goal{table: "filter", chain: "FREESWITCH", ownSets: []string{"freeswitch-blocked src"}}
	l := parseListing(listed)
	if err := carryOut(l, planRemoval(l, g).lines); err != nil {
		t.Fatal(err)
	}
	if got := l["FREESWITCH"]; !slices.Equal(got, []string{"! -s 1.2.3.4/32 -j DROP"}) || len(l["INPUT"]) != 1 {
		t.Errorf("%q", l)
	}
	l = parseListing("-P INPUT ACCEPT\n-N FREESWITCH\n-A INPUT -j FREESWITCH\n-A FREESWITCH -s 1.2.3.4/32 -j DROP\n")
	if err := carryOut(l, planRemoval(l, g).lines); err != nil {
		t.Fatal(err)
	}
	if len(l) != 1 || len(l["INPUT"]) != 0 {
		t.Errorf("%q", l)
	}
}

func TestRestoreInput(t *testing.T) {
	got := restoreInput([]plan{{table: "filter", lines: []string{"-A X -s 1.2.3.4/32 -j DROP"}}, {table: "raw"}, {table: "mangle", lines: []string{"-N X"}}})
	want := "*filter\n-A X -s 1.2.3.4/32 -j DROP\nCOMMIT\n*mangle\n-N X\nCOMMIT\n"
	if got != want {
		t.Errorf("%q", got)
	}
	if got := restoreInput([]plan{{table: "filter"}}); got != "" {
		t.Errorf("%q", got)
	}
}
