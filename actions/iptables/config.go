package iptables

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// Kind makes actions of `action "iptables" "name" { … }` blocks.
var Kind = plugin.ActionKind{Name: "iptables", Blocks: true, New: fromHCL}

// How bans are kept in the kernel.
const (
	backendAuto  = "auto"  // rules while there are few, then a set
	backendRules = "rules" // one rule for each ban
	backendSet   = "ipset" // one rule, which looks the sender up in a set
)

// config is an action block, checked.
type config struct {
	chain      string
	target     string   // DROP or REJECT
	matches    []string // what each jump asks of a packet, as iptables prints it; "" is every packet
	hooks      []hook
	backend    string
	ipsetAbove int
	maxEntries uint32         // of each new set; it grows from there
	aggregate  [2]int         // prefix lengths by family; 0: off
	trusted    []netip.Prefix // never aggregated
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

// tables lists the tables that hold our chain, each once.
func (c *config) tables() []string {
	var tables []string
	for _, h := range c.hooks {
		if !slices.Contains(tables, h.table) {
			tables = append(tables, h.table)
		}
	}
	return tables
}

// hooksOf lists the chains of a table that jump to ours.
func (c *config) hooksOf(table string) []string {
	var chains []string
	for _, h := range c.hooks {
		if h.table == table {
			chains = append(chains, h.chain)
		}
	}
	return chains
}

// attributes are the names that a block may set.
var attributes = []string{
	"chain", "target", "ports", "protocols", "hooks", "backend", "ipset_above", "max_entries",
	"aggregate", "ipv6",
}

func fromHCL(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	body, eval := b.Raw()
	env.Eval = eval
	c, diags := decode(body, env)
	b.Add(diags)
	return newAction(c)
}

func decode(body hcl.Body, env plugin.ActionEnv) (config, hcl.Diagnostics) {
	schema := &hcl.BodySchema{}
	for _, name := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, diags := body.Content(schema)
	d := &decoder{content: content, eval: env.Eval, diags: diags}

	c := config{
		chain: env.Chain, target: "DROP", backend: backendAuto,
		ipsetAbove: 100, maxEntries: 131072, ipv6: true, trusted: env.Trusted,
	}
	d.value("chain", &c.chain)
	d.check("chain", "Not a chain name", checkChain(c.chain))
	d.value("target", &c.target)
	d.check("target", "Not a target", oneOf(c.target, "DROP", "REJECT"))
	d.value("backend", &c.backend)
	d.check("backend", "Not a backend", oneOf(c.backend, backendAuto, backendRules, backendSet))
	d.value("ipset_above", &c.ipsetAbove)
	d.check("ipset_above", "Not a number of bans", atLeast(c.ipsetAbove, 1))
	entries := int(c.maxEntries)
	d.value("max_entries", &entries)
	d.check("max_entries", "Not a size of a set", within(entries, minEntries, maxEntries))
	c.maxEntries = uint32(entries)
	d.value("ipv6", &c.ipv6)
	d.matches(&c)
	d.hooks(&c)
	d.aggregate(&c)
	return c, d.diags
}

// A decoder reads attributes one after the other and gathers what is wrong with
// them.
type decoder struct {
	content *hcl.BodyContent
	eval    *hcl.EvalContext
	diags   hcl.Diagnostics
}

// value decodes an attribute into target, which keeps its default where the
// attribute is absent.
func (d *decoder) value(name string, target any) {
	if attr, ok := d.content.Attributes[name]; ok {
		d.diags = append(d.diags, gohcl.DecodeExpression(attr.Expr, d.eval, target)...)
	}
}

// check turns an error into a diagnostic on the attribute, or on the block where
// the value came from elsewhere.
func (d *decoder) check(name, summary string, err error) {
	if err == nil {
		return
	}
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: err.Error()}
	if attr, ok := d.content.Attributes[name]; ok {
		diag.Subject = attr.Expr.Range().Ptr()
		diag.Context = attr.Range.Ptr()
	} else {
		diag.Subject = d.content.MissingItemRange.Ptr()
	}
	d.diags = append(d.diags, diag)
}

func (d *decoder) matches(c *config) {
	var ports, protocols []string
	d.value("ports", &ports)
	d.value("protocols", &protocols)
	for _, p := range protocols {
		d.check("protocols", "Not a protocol", oneOf(p, "udp", "tcp"))
	}
	if len(ports) > 0 && len(protocols) == 0 {
		protocols = []string{"udp", "tcp"}
	}
	list, err := portList(ports)
	d.check("ports", "Not a list of ports", err)
	for _, protocol := range protocols {
		match := "-p " + protocol
		if list != "" {
			match += " -m multiport --dports " + list
		}
		if !slices.Contains(c.matches, match) {
			c.matches = append(c.matches, match)
		}
	}
	if len(c.matches) == 0 {
		c.matches = []string{""}
	}
}

func (d *decoder) hooks(c *config) {
	names := []string{"INPUT"}
	d.value("hooks", &names)
	if len(names) == 0 {
		d.check("hooks", "No hook", fmt.Errorf("the chain must be jumped to from somewhere; \"INPUT\" is the default"))
	}
	for _, name := range names {
		h, err := parseHook(name)
		if err == nil && h.table != "filter" && c.target == "REJECT" {
			err = fmt.Errorf("REJECT works in table filter only; with the hook %q choose DROP", name)
		}
		d.check("hooks", "Not a hook", err)
		if !slices.Contains(c.hooks, h) {
			c.hooks = append(c.hooks, h)
		}
	}
}

func (d *decoder) aggregate(c *config) {
	var aggregate string
	d.value("aggregate", &aggregate)
	var err error
	c.aggregate, err = parseAggregate(aggregate)
	d.check("aggregate", "Not a prefix length", err)
}

// Bounds of max_entries: the kernel's own lower bound of a hash, and some 4 GB.
const (
	minEntries = 64
	maxEntries = 1 << 26
)

var chainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// maxChainName leaves room for "-blocked6" in the 31 bytes of a set's name.
const maxChainName = 22

// notChains are words that iptables would not take for a chain of ours.
var notChains = []string{
	"INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING",
	"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "LOG", "MARK",
}

func checkChain(name string) error {
	switch {
	case !chainName.MatchString(name):
		return fmt.Errorf("%q: a chain's name has letters, digits, _ and - only", name)
	case len(name) > maxChainName:
		return fmt.Errorf("%q has %d characters; %d at the most, since the sets are named after the chain", name, len(name), maxChainName)
	case slices.Contains(notChains, name):
		return fmt.Errorf("%q is iptables' own; the bans need a chain of their own, such as \"FREESWITCH\"", name)
	}
	return nil
}

// parseHook reads "INPUT" or "raw/PREROUTING".
func parseHook(s string) (hook, error) {
	h := hook{"filter", s}
	if table, chain, ok := strings.Cut(s, "/"); ok {
		h = hook{table, chain}
	}
	switch {
	case h.table != "filter" && h.table != "raw" && h.table != "mangle":
		return h, fmt.Errorf("%q: the table must be filter, raw or mangle", s)
	case !chainName.MatchString(h.chain):
		return h, fmt.Errorf("%q: write a chain, such as \"INPUT\" or \"raw/PREROUTING\"", s)
	case h.chain == "OUTPUT" || h.chain == "POSTROUTING":
		return h, fmt.Errorf("%q sees what this host sends, and bans are by sender", s)
	case h.table == "raw" && h.chain == "INPUT", h.table != "filter" && h.chain == "DOCKER-USER",
		h.table == "raw" && h.chain == "FORWARD", h.table == "filter" && h.chain == "PREROUTING":
		return h, fmt.Errorf("%q: table %s has no chain %s", s, h.table, h.chain)
	}
	return h, nil
}

// maxPortSlots is how many ports one multiport match holds; a range takes two.
const maxPortSlots = 15

// portList turns "5060-5061" into "5060:5061" and joins.
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
		slots++
		if hi > lo {
			slots++
			out = append(out, fmt.Sprintf("%d:%d", lo, hi))
		} else {
			out = append(out, strconv.FormatUint(lo, 10))
		}
	}
	if slots > maxPortSlots {
		return "", fmt.Errorf("a rule holds %d ports at the most, and a range counts as two", maxPortSlots)
	}
	return strings.Join(out, ","), nil
}

func oneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%q: write one of %q", value, allowed)
}

func atLeast(value, lowest int) error {
	if value >= lowest {
		return nil
	}
	return fmt.Errorf("%d: at least %d", value, lowest)
}

func within(value, lowest, highest int) error {
	if value < lowest || value > highest {
		return fmt.Errorf("%d: between %d and %d", value, lowest, highest)
	}
	return nil
}
