package plugin

import (
	"context"
	"net/netip"
	"time"
)

// An Inspector is an action that can show what it has done in the kernel.
type Inspector interface {
	Level
	// Inspect looks at the kernel and changes nothing. It may be called at any
	// time, beside Apply and Resync. What could be read comes back with the error.
	Inspect(ctx context.Context) (Inspection, error)
}

// An Inspection is what really stands in the kernel at one moment.
type Inspection struct {
	Chain    string
	Backend  string   // "rules" or "ipset"; "" before the first resync
	Versions []string // of the programs in use: "iptables v1.8.9 (nf_tables)"
	Jumps    []Jump
	Entries  []Entry // by target
	Foreign  []string
	Findings
}

// A Jump is one way for packets to an action's chain.
type Jump struct {
	Family   string // "IPv4" or "IPv6"
	Hook     string // "INPUT", "raw/PREROUTING"
	Match    string // "-p udp", as iptables prints it; "": every packet
	Position int    // counted from 1; 0: there is none
	Waiting  bool   // the hook does not exist
}

// An Entry is a ban as the kernel has it.
type Entry struct {
	Target    netip.Prefix
	Packets   uint64        // that it has stopped, where the kernel counts them
	Bytes     uint64        // the same
	Remaining time.Duration // 0: permanent, or not known
	Permanent bool
}
