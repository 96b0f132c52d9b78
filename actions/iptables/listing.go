package iptables

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A listing is one table as `iptables -S` prints it: the rules of every chain.
type listing map[string][]string

// parseListing reads the output of `iptables -S`. A rule is kept as printed, without
// "-A CHAIN". Other lines, such as warnings of iptables-nft, are ignored.
func parseListing(out string) listing {
	l := listing{}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		chain, spec, _ := strings.Cut(rest, " ")
		if chain == "" {
			continue
		}
		switch kind {
		case "-P", "-N":
			if _, ok := l[chain]; !ok {
				l[chain] = nil
			}
		case "-A":
			l[chain] = append(l[chain], spec)
		}
	}
	return l
}

// cutCounters removes the counters from a rule that was listed with -v: "-c 12 3456"
// before its target.
func cutCounters(spec string) (bare string, packets, bytes uint64) {
	start := strings.LastIndex(" "+spec, " -c ")
	if start < 0 {
		return spec, 0, 0
	}
	words := strings.SplitN(spec[start:], " ", 4)
	if len(words) < 3 {
		return spec, 0, 0
	}
	packets, err1 := strconv.ParseUint(words[1], 10, 64)
	bytes, err2 := strconv.ParseUint(words[2], 10, 64)
	if err1 != nil || err2 != nil {
		return spec, 0, 0
	}
	bare = strings.TrimSuffix(spec[:start], " ")
	if len(words) == 4 {
		bare = strings.TrimPrefix(bare+" "+words[3], " ")
	}
	return bare, packets, bytes
}

// banRule returns the rule of one ban, as iptables prints it and as `iptables -C`
// finds it.
func banRule(p netip.Prefix, target string) string {
	return "-s " + p.String() + " -j " + target
}

// setRule returns the rule that looks up the source address in a set.
func setRule(set, target string) string {
	return "-m set --match-set " + set + " src -j " + target
}

// jumpRule is the rule that brings packets to our chain.
func jumpRule(match, chain string) string {
	if match == "" {
		return "-j " + chain
	}
	return match + " -j " + chain
}

// bareTarget removes the option that iptables adds to a REJECT.
func bareTarget(spec string) string {
	spec = strings.TrimSuffix(spec, " --reject-with icmp-port-unreachable")
	return strings.TrimSuffix(spec, " --reject-with icmp6-port-unreachable")
}

// parseBanRule reads a rule of banRule, for either target.
func parseBanRule(spec string) (p netip.Prefix, target string, ok bool) {
	rest, isSource := strings.CutPrefix(bareTarget(spec), "-s ")
	if !isSource {
		return p, "", false
	}
	source, target, ok := strings.Cut(rest, " -j ")
	if !ok || target != "DROP" && target != "REJECT" {
		return p, "", false
	}
	p, err := netip.ParsePrefix(source)
	return p, target, err == nil
}

// isSetRule reports whether spec is the rule of a set, for either target.
func isSetRule(spec, set string) bool {
	spec = bareTarget(spec)
	return spec == setRule(set, "DROP") || spec == setRule(set, "REJECT")
}

// isOwnJump reports whether spec is a jump to chain of a form that this package writes,
// with any configuration.
func isOwnJump(spec, chain string) bool {
	match, ok := strings.CutSuffix(spec, "-j "+chain)
	if !ok {
		return false
	}
	w := strings.Fields(match)
	switch len(w) {
	case 0:
		return true
	case 2, 6:
		known := w[0] == "-p" && (w[1] == "udp" || w[1] == "tcp")
		return known && (len(w) == 2 || slices.Equal(w[2:5], []string{"-m", "multiport", "--dports"}))
	}
	return false
}

// words splits a rule like a shell: iptables quotes words with spaces.
func words(spec string) []string {
	var out []string
	var word []byte
	inWord, quoted := false, false
	for i := 0; i < len(spec); i++ {
		c := spec[i]
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case c == '\\' && quoted && i+1 < len(spec):
			i++
			word = append(word, spec[i])
		case c == ' ' && !quoted:
			if inWord {
				out = append(out, string(word))
			}
			word, inWord = word[:0], false
		default:
			word, inWord = append(word, c), true
		}
	}
	if inWord {
		out = append(out, string(word))
	}
	return out
}

// nonAccepting are targets that drop a packet or continue with the next rule.
var nonAccepting = []string{
	"DROP", "REJECT", "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "MARK", "CONNMARK", "CT", "NOTRACK",
	"SET", "TCPMSS", "DSCP", "TOS", "CLASSIFY", "TARPIT", "RATEEST",
}

// letsPass reports whether a rule of a hook could keep a packet from the rules below it
// and not drop it: it accepts, returns to the policy, or jumps to a chain that accepts.
// An unknown target counts as accepting, our own chain never.
func (l listing) letsPass(spec, own string) bool {
	return l.passes(spec, true, map[string]bool{own: true})
}

// passes looks into each chain once; seen has the chains that are known.
func (l listing) passes(spec string, inHook bool, seen map[string]bool) bool {
	w := words(spec)
	at := slices.IndexFunc(w, func(s string) bool { return s == "-j" || s == "-g" })
	if at < 0 || at+1 == len(w) {
		return false // it only counts packets
	}
	target := w[at+1]
	rules, isChain := l[target]
	switch {
	case seen[target] || slices.Contains(nonAccepting, target):
		return false
	case target == "RETURN":
		return inHook
	case !isChain || w[at] == "-g":
		return true
	}
	seen[target] = true
	return slices.ContainsFunc(rules, func(r string) bool { return l.passes(r, false, seen) })
}

// catchAll reports whether a rule of our chain keeps every packet from the rules below
// it, so that bans there have no effect.
func (l listing) catchAll(spec string) bool {
	w := words(spec)
	return len(w) == 2 && (w[1] == "ACCEPT" || w[1] == "RETURN" || w[0] == "-g")
}
