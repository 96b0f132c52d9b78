package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/regex"
	"freeswitch-security/engine/settings"
)

// Kind makes actions of `action "iptables" "name" { … }` blocks.
var Kind = plugin.ActionKind{
	Name: "iptables", Blocks: true, New: read,
	Targets: []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork, ban.TargetEndpoint},
}

// The backends: how the kernel has the bans.
const (
	backendAuto  = "auto"  // rules for few bans, a set for many
	backendRules = "rules" // one rule for each ban
	backendSet   = "ipset" // one rule that looks up the source address in a set
)

// config is an action block, checked.
type config struct {
	chain      string
	target     string   // DROP or REJECT
	matches    []string // of the jumps, as iptables prints them; "": every packet
	tables     []table
	backend    string
	ipsetAbove int
	maxEntries int            // of a new set
	aggregate  [2]int         // prefix lengths by family; 0: off
	trusted    []netip.Prefix // by the rule files; never aggregated
	ipv6       bool
}

// A hook is a chain that jumps to ours.
type hook struct{ table, chain string }

func (h hook) String() string {
	if h.table == "filter" {
		return h.chain
	}
	return h.table + "/" + h.chain
}

// A table is a table that holds our chain, with the chains that jump to ours.
type table struct {
	name  string
	hooks []string
}

// read reads an action block.
func read(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	c := config{
		chain: env.Chain, target: "DROP", tables: []table{{"filter", []string{"INPUT"}}}, backend: backendAuto,
		ipsetAbove: 100, maxEntries: 262144, trusted: env.Trusted, ipv6: true,
	}
	b.Note("trusted", fmt.Sprint(env.Trusted))
	b.String("chain", &c.chain)
	_, err := settings.ParseChain(c.chain)
	b.Check("chain", "Invalid chain name", err)
	b.Enum("target", &c.target, "DROP", "REJECT")
	b.Enum("backend", &c.backend, backendAuto, backendRules, backendSet)
	b.Int("ipset_above", &c.ipsetAbove, 1, maxEntries)
	b.Int("max_entries", &c.maxEntries, minEntries, maxEntries)
	b.Bool("ipv6", &c.ipv6)
	c.readMatches(b)
	c.readHooks(b)

	var aggregate string
	b.String("aggregate", &aggregate)
	c.aggregate, err = parseAggregate(aggregate)
	b.Check("aggregate", "Invalid prefix length", err)
	env.Claim("iptables chain " + c.chain)
	return newAction(c)
}

func (c *config) readMatches(b *settings.Block) {
	var ports, protocols []string
	b.Strings("ports", &ports)
	list, err := portList(ports)
	b.Check("ports", "Invalid ports", err)
	if list != "" {
		list = " -m multiport --dports " + list
		protocols = []string{"udp", "tcp"}
	}
	b.Enums("protocols", &protocols, "udp", "tcp")
	for _, protocol := range protocols {
		c.matches = append(c.matches, "-p "+protocol+list)
	}
	if len(c.matches) == 0 {
		c.matches = []string{""}
	}
}

func (c *config) readHooks(b *settings.Block) {
	var names []string
	if !b.Strings("hooks", &names) {
		return
	}
	if c.tables = nil; len(names) == 0 {
		b.Error("hooks", "No hooks", "Name at least one chain that jumps to the action's chain, such as \"INPUT\".")
	}
	for _, name := range names {
		h, err := parseHook(name)
		if err == nil && h.table != "filter" && c.target == "REJECT" {
			err = fmt.Errorf("REJECT works only in table filter; use DROP with the hook %q", name)
		}
		b.Check("hooks", "Invalid hook", err)
		i := slices.IndexFunc(c.tables, func(t table) bool { return t.name == h.table })
		if i < 0 {
			i = len(c.tables)
			c.tables = append(c.tables, table{name: h.table})
		}
		if !slices.Contains(c.tables[i].hooks, h.chain) {
			c.tables[i].hooks = append(c.tables[i].hooks, h.chain)
		}
	}
}

// Bounds of max_entries: the kernel's smallest hash, and some 4 GB.
const (
	minEntries = 64
	maxEntries = 1 << 26
)

// chainName is the form of a chain that jumps to ours.
var chainName = regex.New(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// builtins are the chains of each table that packets to this host pass.
var builtins = map[string][]string{
	"filter": {"INPUT", "FORWARD"}, "raw": {"PREROUTING"}, "mangle": {"PREROUTING", "INPUT", "FORWARD"},
}

// parseHook reads "INPUT" or "raw/PREROUTING". A chain that the kernel does not have by itself may be
// a mistake: it needs its table, except for Docker's.
func parseHook(s string) (hook, error) {
	h := hook{"filter", s}
	table, chain, qualified := strings.Cut(s, "/")
	if qualified {
		h = hook{table, chain}
	}
	builtin, known := builtins[h.table]
	chains := builtin
	if h.table == "filter" {
		chains = append(slices.Clone(chains), "DOCKER-USER")
	}
	mistyped := event.Mistyped(h.chain, chains)
	switch {
	case !known:
		return h, fmt.Errorf("%q: the table must be filter, raw or mangle", s)
	case !chainName.Use().MatchString(h.chain):
		return h, fmt.Errorf("%q: write a chain, such as \"INPUT\" or \"raw/PREROUTING\"", s)
	case h.chain == "OUTPUT" || h.chain == "POSTROUTING":
		return h, fmt.Errorf("%q has packets that this host sends; bans are by source address", s)
	case slices.Contains(settings.ReservedChains, h.chain) && !slices.Contains(builtin, h.chain):
		var others []string
		for _, table := range []string{"filter", "mangle", "raw"} {
			if slices.Contains(builtins[table], h.chain) {
				others = append(others, strconv.Quote(hook{table, h.chain}.String()))
			}
		}
		hint := ""
		if len(others) > 0 {
			hint = "; write " + strings.Join(others, " or ")
		}
		return h, fmt.Errorf("%q: table %s has no chain %s%s", s, h.table, h.chain, hint)
	case slices.Contains(chains, h.chain):
	case mistyped != "":
		return h, fmt.Errorf("%q: table %s has no chain %s; did you mean %q?", s, h.table, h.chain, mistyped)
	case !qualified:
		return h, fmt.Errorf("%q: no kernel has a chain %s by itself, only %s; write a chain of your own with its table, as %q",
			s, h.chain, strings.Join(builtin, ", "), "filter/"+h.chain)
	}
	return h, nil
}

// maxPortSlots is the number of ports in one multiport match; a range counts as two.
const maxPortSlots = 15

// portList converts ports and ranges ("5060-5061") to the form of iptables ("5060:5061").
func portList(ports []string) (string, error) {
	var out []string
	slots := 0
	for _, s := range ports {
		first, last, isRange := strings.Cut(s, "-")
		lo, err := strconv.ParseUint(first, 10, 16)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || lo == 0 || hi < lo {
			return "", fmt.Errorf("%q is neither a port (\"5060\") nor a range (\"5060-5061\")", s)
		}
		port := fmt.Sprint(lo)
		slots++
		if hi > lo {
			port += fmt.Sprint(":", hi)
			slots++
		}
		out = append(out, port)
	}
	if slots > maxPortSlots {
		return "", fmt.Errorf("at most %d ports, and a range counts as two", maxPortSlots)
	}
	return strings.Join(out, ","), nil
}
