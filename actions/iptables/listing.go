package iptables

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/regex"
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

var counters = regex.New(`^(.* )?-c (\d+) (\d+)( .*)?$`)

// cutCounters removes the counters from a rule that was listed with -v: "-c 12 3456"
// before its target.
func cutCounters(spec string) (bare string, packets, bytes uint64) {
	m := counters.Use().FindStringSubmatch(spec)
	if m == nil {
		return spec, 0, 0
	}
	packets, _ = strconv.ParseUint(m[2], 10, 64)
	bytes, _ = strconv.ParseUint(m[3], 10, 64)
	return strings.TrimPrefix(strings.TrimSuffix(m[1], " ")+m[4], " "), packets, bytes
}

// withoutCounters returns the listing as it is without -v.
func (l listing) withoutCounters() listing {
	bare := make(listing, len(l))
	for chain, specs := range l {
		bare[chain] = make([]string, len(specs))
		for i, spec := range specs {
			bare[chain][i], _, _ = cutCounters(spec)
		}
	}
	return bare
}

// banRule returns the rule of one ban, as iptables prints it and as `iptables -C`
// finds it.
func banRule(t ban.Target, target string) string {
	ports := ""
	if a, protocol, ok := t.Endpoint(); ok {
		ports = fmt.Sprintf(" -p %s -m %[1]s --sport %d", protocol, a.Port())
	}
	return "-s " + t.Prefix().String() + ports + " -j " + target
}

// setRule returns the rule that looks up the source of a packet in a set.
func setRule(lookup, target string) string {
	return "-m set --match-set " + lookup + " -j " + target
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
func parseBanRule(spec string) (t ban.Target, target string, ok bool) {
	spec = bareTarget(spec)
	rest, isSource := strings.CutPrefix(spec, "-s ")
	if !isSource {
		return t, "", false
	}
	source, target, ok := strings.Cut(rest, " -j ")
	if !ok || target != "DROP" && target != "REJECT" {
		return t, "", false
	}
	source, ports, isEndpoint := strings.Cut(source, " -p ")
	p, err := netip.ParsePrefix(source)
	if err != nil || !isEndpoint {
		return ban.Network(p), target, err == nil
	}
	protocol, _, _ := strings.Cut(ports, " ")
	port := ports[strings.LastIndexByte(ports, ' ')+1:]
	t, err = ban.ParseTarget(net.JoinHostPort(p.Addr().String(), port) + "/" + protocol)
	return t, target, err == nil && banRule(t, target) == spec
}

// isSetRule reports whether spec is the rule of a set, for either target.
func isSetRule(spec, lookup string) bool {
	spec = bareTarget(spec)
	return spec == setRule(lookup, "DROP") || spec == setRule(lookup, "REJECT")
}

var ownMatch = regex.New(`^(-p (udp|tcp) (-m multiport --dports \S+ )?)?$`)

// isOwnJump reports whether spec is a jump to chain of a form that this package writes,
// with any configuration.
func isOwnJump(spec, chain string) bool {
	match, ok := strings.CutSuffix(spec, "-j "+chain)
	return ok && ownMatch.Use().MatchString(match)
}

var quoted = regex.New(`"(\\.|[^"\\])*"`)

// words splits a rule. A quoted text, such as a comment, is one empty word.
func words(spec string) []string { return strings.Fields(quoted.Use().ReplaceAllString(spec, `""`)) }

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
