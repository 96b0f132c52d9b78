package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// The environment variables that override the security blocks. An empty one counts as
// not set: container tools pass a variable without a value as an empty one.
const (
	envAutoBlock       = "SECURITY_AUTO_BLOCK"
	envChain           = "SECURITY_IPTABLES_CHAIN"
	envBlockDuration   = "SECURITY_BLOCK_DURATION"
	envTrustedNetworks = "SECURITY_TRUSTED_NETWORKS"
)

// security is all security blocks together, and the environment over them.
type security struct {
	*loader
	blocks      []*settings.Block
	environment *settings.Block
}

// decodeSecurity reads the security blocks as one, and the environment over it.
func (l *loader) decodeSecurity(blocks []*settings.Block) {
	l.cfg.Security = Security{AutoBlock: true, Chain: "FREESWITCH", BlockDuration: ban.Term(time.Hour)}
	s := security{l, blocks, l.environment()}
	s.decodeAutoBlock()
	s.decodeChain()
	s.decodeBlockDuration()
	s.decodeTrustedNetworks()
	s.decodeProtect()
}

// block is the one that sets an attribute; one without attributes if none does.
func (s *security) block(name string) *settings.Block {
	found := s.environment
	for _, b := range s.blocks {
		attr := b.Attribute(name)
		switch {
		case attr == nil:
		case found == s.environment:
			found = b
		default:
			b.ErrorAt(attr.NameRange, "Set twice", fmt.Sprintf("%s is already set at %s. Remove one of them.", name, settings.Where(found.At(name))))
		}
	}
	return found
}

// override gives the value of an environment variable that wins over a file.
func (s *security) override(variable string) (settings.Text, bool) {
	v, ok := s.environ(variable)
	return settings.Text{Value: v, Range: startOf("environment variable " + variable), Written: true}, ok && v != ""
}

// texts are the text that a file gives an attribute and the one that the environment
// gives it, as far as they are there: the last one counts.
func (s *security) texts(name, variable string) []settings.Text {
	var all []settings.Text
	if t, ok := s.block(name).Text(name); ok {
		all = append(all, t)
	}
	if t, ok := s.override(variable); ok {
		all = append(all, t)
	}
	return all
}

func (s *security) decodeAutoBlock() {
	const name = "auto_block_enabled"
	s.block(name).Bool(name, &s.cfg.Security.AutoBlock)
	if t, ok := s.override(envAutoBlock); ok {
		on, err := parseSwitch(t.Value)
		if err != nil {
			s.environment.Invalid(t, "Invalid value", err, "true or false")
			return
		}
		s.cfg.Security.AutoBlock = on
	}
}

// parseSwitch reads the words for on and off that are common in environments.
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

func (s *security) decodeChain() {
	for _, t := range s.texts("iptables_chain", envChain) {
		if err := checkChain(t.Value); err != nil {
			s.environment.Invalid(t, "Invalid chain name", err, "the name of a chain of this program's own")
			continue
		}
		s.cfg.Security.Chain = t.Value
	}
}

// chainName is a name that iptables accepts. One with - first is an option to it.
var chainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,27}$`)

// reservedChains are the names of built-in chains and of targets.
var reservedChains = []string{
	"INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING",
	"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "NFQUEUE", "LOG", "MARK",
}

func checkChain(name string) error {
	if !chainName.MatchString(name) {
		return fmt.Errorf("%q is no chain name: write 1 to 28 letters, digits, _ or -, and no - first", name)
	}
	if slices.Contains(reservedChains, strings.ToUpper(name)) {
		return fmt.Errorf("%q is a name of iptables itself: choose another one, such as \"FREESWITCH\"", name)
	}
	return nil
}

func (s *security) decodeBlockDuration() {
	for _, t := range s.texts("block_duration", envBlockDuration) {
		if term, ok := term(s.environment, t); ok {
			s.cfg.Security.BlockDuration = term
		}
	}
}

// term reads the length of a ban.
func term(b *settings.Block, t settings.Text) (ban.Term, bool) {
	term, err := ban.ParseTerm(t.Value)
	if err != nil {
		b.Invalid(t, "Invalid ban length", err, `a duration, such as "10m" or "7d", or "permanent"`)
		return 0, false
	}
	return term, true
}

// protectWords are what security.protect may list, with the event that names the
// addresses.
var protectWords = map[string]string{"registered": event.Registered, "gateways": event.Gateway}

func (s *security) decodeProtect() {
	s.cfg.protectRanges = map[string]hcl.Range{}
	b := s.block("protect")
	words, _ := b.Texts("protect")
	for _, t := range words {
		if b.OneOf(t, "protection", slices.Sorted(maps.Keys(protectWords))) {
			s.cfg.protectRanges[t.Value] = t.Range
		}
	}
	_, s.cfg.Security.Protect.Registered = s.cfg.protectRanges["registered"]
	_, s.cfg.Security.Protect.Gateways = s.cfg.protectRanges["gateways"]
}
