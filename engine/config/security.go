package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/hashicorp/hcl/v2"
)

// The environment variables that win over the security blocks. An empty one
// counts as not set: that is how container tools hand on a variable without a
// value.
const (
	envAutoBlock       = "SECURITY_AUTO_BLOCK"
	envChain           = "SECURITY_IPTABLES_CHAIN"
	envBlockDuration   = "SECURITY_BLOCK_DURATION"
	envTrustedNetworks = "SECURITY_TRUSTED_NETWORKS"
)

var securitySchema = &hcl.BodySchema{
	Attributes: attributes("auto_block_enabled", "iptables_chain", "block_duration", "trusted_networks", "protect"),
}

// decodeSecurity reads the security blocks as one, and the environment over it.
func (l *loader) decodeSecurity(blocks hcl.Blocks) {
	attrs := map[string]*hcl.Attribute{}
	for _, block := range blocks {
		for name, attr := range l.content(block, securitySchema).Attributes {
			first := attrs[name]
			if first == nil {
				attrs[name] = attr
				continue
			}
			l.errorAt(attr.NameRange, "Set twice", fmt.Sprintf("%s is already set at %s. Remove one of them.", name, where(first.NameRange)))
		}
	}
	l.cfg.Security = Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}
	l.decodeAutoBlock(attrs["auto_block_enabled"])
	l.decodeChain(attrs["iptables_chain"])
	l.decodeBlockDuration(attrs["block_duration"])
	l.decodeTrustedNetworks(attrs["trusted_networks"])
	l.decodeProtect(attrs["protect"])
}

// override gives the value of an environment variable that stands over a file.
func (l *loader) override(variable string) (text, bool) {
	v, ok := l.environ(variable)
	return text{v, startOf("environment variable " + variable), true}, ok && v != ""
}

func (l *loader) decodeAutoBlock(attr *hcl.Attribute) {
	if attr != nil {
		if on, ok := l.flag(attr.Expr); ok {
			l.cfg.Security.AutoBlock = on
		}
	}
	if t, ok := l.override(envAutoBlock); ok {
		on, err := parseSwitch(t.string)
		if err != nil {
			l.errorAt(t.rng, "Invalid value", sentence(err))
			return
		}
		l.cfg.Security.AutoBlock = on
	}
}

// parseSwitch reads the words for on and off that people use in environments.
func parseSwitch(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "yes":
		return true, nil
	case "off", "no":
		return false, nil
	}
	on, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return on, nil
}

func (l *loader) decodeChain(attr *hcl.Attribute) {
	set := func(t text) {
		if err := checkChain(t.string); err != nil {
			l.invalid(t, "Invalid chain name", err, "the name of a chain of this program's own")
			return
		}
		l.cfg.Security.Chain = t.string
	}
	if attr != nil {
		if t, ok := l.text(attr.Expr); ok {
			set(t)
		}
	}
	if t, ok := l.override(envChain); ok {
		set(t)
	}
}

// maxChain is the longest name that iptables takes for a chain, in bytes.
const maxChain = 28

// reservedChains are names that iptables keeps for itself: of built-in chains,
// and of targets that a chain would be mistaken for.
var reservedChains = []string{
	"INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING",
	"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "NFQUEUE", "LOG", "MARK",
}

func checkChain(name string) error {
	if name == "" || len(name) > maxChain {
		return fmt.Errorf("%q is no chain name: it takes 1 to %d letters, digits, _ or -", name, maxChain)
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && !('0' <= c && c <= '9') && c != '_' && c != '-' {
			return fmt.Errorf("%q is no chain name: only letters, digits, _ and - may stand in it", name)
		}
	}
	if name[0] == '-' {
		return errors.New("a chain name must not begin with -, which iptables takes for an option")
	}
	for _, reserved := range reservedChains {
		if strings.EqualFold(name, reserved) {
			return fmt.Errorf("%q belongs to iptables itself: choose a name of your own, such as \"FREESWITCH\"", name)
		}
	}
	return nil
}

func (l *loader) decodeBlockDuration(attr *hcl.Attribute) {
	set := func(t text) {
		if term, ok := l.term(t); ok {
			l.cfg.Security.BlockDuration = term
		}
	}
	if attr != nil {
		if t, ok := l.text(attr.Expr); ok {
			set(t)
		}
	}
	if t, ok := l.override(envBlockDuration); ok {
		set(t)
	}
}

// protectWords are what security.protect may list, with the event that tells whom
// it is about.
var protectWords = map[string]string{"registered": event.Registered, "gateways": event.Gateway}

func (l *loader) decodeProtect(attr *hcl.Attribute) {
	l.cfg.protectRanges = map[string]hcl.Range{}
	if attr == nil {
		return
	}
	words, _ := l.texts(attr.Expr)
	for _, t := range words {
		switch t.string {
		case "registered":
			l.cfg.Security.Protect.Registered = true
		case "gateways":
			l.cfg.Security.Protect.Gateways = true
		default:
			err := fmt.Errorf("%q is nothing that can be protected: write \"registered\", \"gateways\" or both.%s",
				t.string, event.DidYouMean(t.string, slices.Sorted(maps.Keys(protectWords))))
			l.invalid(t, "Unknown protection", err, `"registered" or "gateways"`)
			continue
		}
		l.cfg.protectRanges[t.string] = t.rng
	}
}
