package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// variables are the attributes of the security blocks, with the environment variable
// that overrides each; "": none does.
var variables = map[string]string{
	"auto_block_enabled": "SECURITY_AUTO_BLOCK",
	"iptables_chain":     "SECURITY_IPTABLES_CHAIN",
	"block_duration":     "SECURITY_BLOCK_DURATION",
	"trusted_networks":   "SECURITY_TRUSTED_NETWORKS",
	"protect":            "",
	"nat64":              "",
	"protected_failures": "",
}

// switches are further words for true and false that are common in environments.
var switches = map[string]string{"on": "true", "yes": "true", "t": "true", "off": "false", "no": "false", "f": "false"}

// An origin is where the value of an attribute comes from. A JSON file takes precedence over an HCL file,
// and the environment over both.
type origin struct {
	rank int
	rng  hcl.Range
}

// decodeSecurity reads the security blocks as one: those of HCL files, over them those of JSON files, and
// over all the environment. What is overridden must be right as well.
func (l *loader) decodeSecurity(blocks []*settings.Block) {
	l.cfg.Security = Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}
	set := map[string]origin{}
	var ranks [2][]*settings.Block
	for _, b := range blocks {
		rank := 0
		if strings.HasSuffix(b.Range.Filename, ".json") {
			rank = 1
		}
		ranks[rank] = append(ranks[rank], b)
	}
	var all []settings.Text // trusted networks that hold every address
	for rank, blocks := range append(ranks[:], []*settings.Block{l.environment()}) {
		for _, b := range blocks {
			for name := range variables {
				attr := b.Attribute(name)
				if attr == nil {
					continue
				}
				if first, twice := set[name]; twice && first.rank == rank {
					b.ErrorAt(attr.NameRange, "Set twice", fmt.Sprintf("%s is already set at %s. Remove one of them.", name, placed(first.rng)))
					continue
				}
				set[name] = origin{rank, attr.NameRange}
			}
			if trusted := l.decodeSecurityBlock(b); b.Has("trusted_networks") {
				all = trusted
			}
		}
	}
	l.warnOfAll(all)
	l.showSecurity(set)
}

// decodeSecurityBlock reads what one block sets, and returns the networks that it trusts which hold every address.
func (l *loader) decodeSecurityBlock(b *settings.Block) (all []settings.Text) {
	security := &l.cfg.Security
	b.Bool("auto_block_enabled", &security.AutoBlock)
	if t, ok := b.Text("iptables_chain"); ok {
		settings.Parse(b, t, &security.Chain, settings.ParseChain, "Invalid chain name", "the name of a chain of this program's own")
	}
	if t, ok := b.Text("block_duration"); ok {
		term(b, t, &security.BlockDuration)
	}
	if networks, _ := b.Texts("trusted_networks"); b.Has("trusted_networks") {
		l.cfg.Trusted, all = l.trust(b, networks, "security.trusted_networks", "")
	}
	if prefixes, _ := b.Texts("nat64"); b.Has("nat64") {
		security.NAT64 = nil
		for _, t := range prefixes {
			var prefix netip.Prefix
			if settings.Parse(b, t, &prefix, ban.ParseNAT64, "Not a prefix of NAT64", `the prefix of a translator, such as "2001:db8:64::/96"`) {
				security.NAT64 = append(security.NAT64, prefix)
			}
		}
	}
	b.Int("protected_failures", &security.ProtectedFailures, minProtectedFailures, maxProtectedFailures)
	if words, _ := b.Texts("protect"); b.Has("protect") {
		security.Protect = Protect{}
		clear(l.cfg.protectRanges)
		for _, t := range words {
			if b.OneOf(t, "protection", slices.Sorted(maps.Keys(protectWords))) {
				l.cfg.protectRanges[t.Value] = t.Range
				security.Protect.Registered = security.Protect.Registered || t.Value == "registered"
				security.Protect.Dialogues = security.Protect.Dialogues || t.Value == "dialogues"
				security.Protect.Gateways = security.Protect.Gateways || t.Value == "gateways"
			}
		}
	}
	return all
}

// A Setting is an attribute of the security blocks as it holds.
type Setting struct {
	Name  string // "security.block_duration"
	Value string // as a rule file would state it
	From  string // "config.json:5", "environment variable SECURITY_BLOCK_DURATION", "default"
}

// Settings returns what holds of the security blocks, in the order of the names.
func (c *Config) Settings() []Setting { return c.settings }

// showSecurity notes what holds, and where it is set.
func (l *loader) showSecurity(set map[string]origin) {
	s := &l.cfg.Security
	list := func(texts []string) string {
		for i, text := range texts {
			texts[i] = strconv.Quote(text)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	var trusted, nat64 []string
	for _, t := range l.cfg.Trusted { // the trusted blocks are read later
		trusted = append(trusted, t.Target.String())
	}
	for _, prefix := range s.NAT64 {
		nat64 = append(nat64, prefix.String())
	}
	values := map[string]string{
		"auto_block_enabled": strconv.FormatBool(s.AutoBlock),
		"iptables_chain":     strconv.Quote(s.Chain),
		"block_duration":     strconv.Quote(s.BlockDuration.String()),
		"trusted_networks":   list(trusted),
		"nat64":              list(nat64),
		"protect":            list(slices.Sorted(maps.Keys(l.cfg.protectRanges))),
		"protected_failures": strconv.Itoa(cmp.Or(s.ProtectedFailures, DefaultProtectedFailures)),
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		from := "default"
		if where, ok := set[name]; ok {
			from = placed(where.rng)
		}
		l.cfg.settings = append(l.cfg.settings, Setting{"security." + name, values[name], from})
	}
}

// placed is a place in words, which may be an environment variable.
func placed(rng hcl.Range) string {
	if rng.Empty() {
		return rng.Filename
	}
	return settings.Where(rng)
}

// environment is a security block of what the environment sets. An empty variable counts
// as not set: container tools pass a variable without a value as an empty one.
func (l *loader) environment() *settings.Block {
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	for name, variable := range variables {
		text, ok := l.environ(variable)
		if variable == "" || !ok || text == "" {
			continue
		}
		value := cty.StringVal(text)
		switch name {
		case "auto_block_enabled":
			text = strings.ToLower(text)
			if word := switches[text]; word != "" {
				text = word
			}
			value = cty.StringVal(text)
		case "trusted_networks":
			networks := []cty.Value{}
			for network := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
				networks = append(networks, cty.StringVal(network))
			}
			value = cty.TupleVal(networks)
		}
		rng := startOf("environment variable " + variable)
		body.Attributes[name] = &hclsyntax.Attribute{
			Name: name, NameRange: rng, SrcRange: rng,
			Expr: &hclsyntax.LiteralValueExpr{Val: value, SrcRange: rng},
		}
	}
	return l.track(settings.New(body, startOf("environment"), nil))
}

// term reads the length of a ban.
func term(b *settings.Block, t settings.Text, target *ban.Term) bool {
	return settings.Parse(b, t, target, ban.ParseTerm, "Invalid ban length", `a duration, such as "10m" or "7d", or "permanent"`)
}

// protectWords are what security.protect may list, with the event that names the
// addresses.
var protectWords = map[string]string{"registered": event.Registered, "gateways": event.Gateway, "dialogues": event.Dialogue}
