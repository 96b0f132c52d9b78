package status

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/ban"
)

// Kernel is what one action enforces: in the kernel, or at a switch.
type Kernel struct {
	Action   string               `json:"action"`   // "iptables.drop"
	Targets  List[ban.TargetKind] `json:"targets"`  // that it enforces bans of
	Chain    string               `json:"chain"`    // "": not in the kernel
	Backend  string               `json:"backend"`  // "rules" or "ipset"; "" before the first apply
	Versions List[string]         `json:"versions"` // of the programs in use: "iptables v1.8.9 (nf_tables)"
	Jumps    List[Jump]           `json:"jumps"`
	Unread   bool                 `json:"unread"`   // part of it could not be read; what is missing below may exist
	Count    *int                 `json:"count"`    // entries; nil if Unread
	Entries  List[Entry]          `json:"entries"`  // by address
	Foreign  List[string]         `json:"foreign"`  // rules in the chain that are not ours
	Problems List[Problem]        `json:"problems"` // why bans are not in force, and what else is wrong
}

// Drops reports whether bans of addresses are enforced.
func (k *Kernel) Drops() bool { return slices.Contains(k.Targets, ban.TargetAddress) }

// Add notes a problem. The engine sets its subject.
func (k *Kernel) Add(s Severity, format string, args ...any) {
	k.Problems = append(k.Problems, Problem{Severity: s, Text: fmt.Sprintf(format, args...)})
}

// Unreadable notes that part of the kernel could not be read, and why: one reason
// a line.
func (k *Kernel) Unreadable(err error) {
	k.Unread = true
	for text := range strings.Lines(err.Error()) {
		k.Add(Critical, "%s", strings.TrimSuffix(text, "\n"))
	}
}

// A Jump is one way for packets to the chain of an action.
type Jump struct {
	Family   string `json:"family"`   // "IPv4" or "IPv6"
	Hook     string `json:"hook"`     // "INPUT", "raw/PREROUTING"
	Match    string `json:"match"`    // "-p udp", as iptables prints it; "" for every packet
	Position int    `json:"position"` // counted from 1; 0: there is none
	Waiting  bool   `json:"waiting"`  // the hook does not exist
}

// An Entry is a ban as the kernel has it.
type Entry struct {
	Target    ban.Target `json:"target"`
	Packets   uint64     `json:"packets"`                   // dropped
	Bytes     uint64     `json:"bytes"`                     // dropped
	Remaining Seconds    `json:"remainingSeconds,omitzero"` // 0: permanent, or not known
	Permanent bool       `json:"permanent"`
	Bypassed  bool       `json:"bypassed"` // packets from there are not dropped now, or not all
}
