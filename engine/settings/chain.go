package settings

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/regex"
)

// chainName is a name that iptables accepts. One with - first is an option to it. The
// length leaves room for "-blocked6" in the 31 bytes of a set's name.
var chainName = regex.New(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,21}$`)

// ReservedChains are the names of built-in chains and of targets.
var ReservedChains = []string{
	"INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING",
	"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "NFQUEUE", "LOG", "MARK",
}

// ParseChain checks the name of an iptables chain of this program's own.
func ParseChain(name string) (string, error) {
	if !chainName.Use().MatchString(name) {
		return "", fmt.Errorf("%q is no chain name: write 1 to 22 letters, digits, _ or -, and no - first", name)
	}
	if slices.Contains(ReservedChains, strings.ToUpper(name)) {
		return "", fmt.Errorf("%q is a name of iptables itself: choose another one, such as \"FREESWITCH\"", name)
	}
	return name, nil
}
