package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
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

// decodeSecurity reads the security blocks as one, and the environment over it.
func (l *loader) decodeSecurity(blocks []*settings.Block) {
	l.cfg.Security = Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}
	set := map[string]hcl.Range{}
	for _, b := range blocks {
		for name := range variables {
			attr := b.Attribute(name)
			if attr == nil {
				continue
			}
			if first, twice := set[name]; twice {
				b.ErrorAt(attr.NameRange, "Set twice", fmt.Sprintf("%s is already set at %s. Remove one of them.", name, settings.Where(first)))
				continue
			}
			set[name] = attr.NameRange
		}
		l.decodeSecurityBlock(b)
	}
	l.decodeSecurityBlock(l.environment())
}

// decodeSecurityBlock reads what one block sets.
func (l *loader) decodeSecurityBlock(b *settings.Block) {
	security := &l.cfg.Security
	b.Bool("auto_block_enabled", &security.AutoBlock)
	if t, ok := b.Text("iptables_chain"); ok {
		settings.Parse(b, t, &security.Chain, settings.ParseChain, "Invalid chain name", "the name of a chain of this program's own")
	}
	if t, ok := b.Text("block_duration"); ok {
		term(b, t, &security.BlockDuration)
	}
	if networks, _ := b.Texts("trusted_networks"); b.Has("trusted_networks") {
		l.cfg.Trusted = trust(b, networks, "security.trusted_networks", "")
	}
	prefixes, _ := b.Texts("nat64")
	for _, t := range prefixes {
		var prefix netip.Prefix
		if settings.Parse(b, t, &prefix, ban.ParseNAT64, "Not a prefix of NAT64", `the prefix of a translator, such as "2001:db8:64::/96"`) {
			security.NAT64 = append(security.NAT64, prefix)
		}
	}
	b.Int("protected_failures", &security.ProtectedFailures, minProtectedFailures, maxProtectedFailures)
	words, _ := b.Texts("protect")
	for _, t := range words {
		if b.OneOf(t, "protection", slices.Sorted(maps.Keys(protectWords))) {
			l.cfg.protectRanges[t.Value] = t.Range
			security.Protect.Registered = security.Protect.Registered || t.Value == "registered"
			security.Protect.Dialogues = security.Protect.Dialogues || t.Value == "dialogues"
			security.Protect.Gateways = security.Protect.Gateways || t.Value == "gateways"
		}
	}
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
