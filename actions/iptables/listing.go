package iptables

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A listing is one table as `iptables -S` prints it: the rules of every chain
// that exists.
type listing map[string][]string

// parseListing reads the output of `iptables -S`. A rule is kept as iptables
// wrote it, without "-A CHAIN". Lines that are neither chain nor rule, such as
// iptables-nft's warnings, are passed over.
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

// cutCounters takes the counters out of a rule that was listed with -v: they
// stand in front of its target, as "-c 12 3456".
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

// banRule is the rule of one ban, as iptables prints it and as people look for
// it with `iptables -C`.
func banRule(p netip.Prefix, target string) string {
	return "-s " + p.String() + " -j " + target
}

// setRule is the rule that looks the sender up in a set.
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

// bareTarget strips the option that iptables adds to a REJECT by itself.
func bareTarget(spec string) string {
	spec = strings.TrimSuffix(spec, " --reject-with icmp-port-unreachable")
	return strings.TrimSuffix(spec, " --reject-with icmp6-port-unreachable")
}

// parseBanRule reads a rule of the form that banRule writes, for either target.
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

// isSetRule reports whether spec looks up the set, for either target.
func isSetRule(spec, set string) bool {
	spec = bareTarget(spec)
	return spec == setRule(set, "DROP") || spec == setRule(set, "REJECT")
}

// isOwnJump reports whether spec is a jump to chain of a form that we write,
// under this configuration or an earlier one.
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

// words splits a rule as a shell would: iptables quotes what has spaces in it.
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

// harmless are targets after which a packet is gone or goes on to the next rule.
var harmless = []string{
	"DROP", "REJECT", "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "MARK", "CONNMARK", "CT", "NOTRACK",
	"SET", "TCPMSS", "DSCP", "TOS", "CLASSIFY", "TARPIT", "RATEEST",
}

// letsPass reports whether a rule of a hook could take a packet past the rules
// below it: it accepts, returns to the policy, or leads to a chain that accepts.
// What it does not know, it takes for such a rule. own is our chain, which never
// counts.
func (l listing) letsPass(spec, own string) bool {
	return l.passes(spec, true, map[string]bool{own: true})
}

// passes looks into each chain once: seen are those that need no second look.
func (l listing) passes(spec string, inHook bool, seen map[string]bool) bool {
	w := words(spec)
	at := slices.IndexFunc(w, func(s string) bool { return s == "-j" || s == "-g" })
	if at < 0 || at+1 == len(w) {
		return false // it only counts
	}
	target := w[at+1]
	rules, isChain := l[target]
	switch {
	case seen[target] || slices.Contains(harmless, target):
		return false
	case target == "RETURN":
		return inHook
	case !isChain || w[at] == "-g":
		return true
	}
	seen[target] = true
	return slices.ContainsFunc(rules, func(r string) bool { return l.passes(r, false, seen) })
}

// blanket reports whether a rule of our chain takes every packet past the rules
// below it, which would make bans there dead letters.
func (l listing) blanket(spec string) bool {
	w := words(spec)
	return len(w) == 2 && (w[1] == "ACCEPT" || w[1] == "RETURN" || w[0] == "-g")
}
