package status

import (
	"time"

	"freeswitch-security/engine/ban"
)

// A Ban is a ban in force and what the kernel does with it. Packets, Bytes and Applied
// are nil if the kernel or the switch could not be read.
type Ban struct {
	ban.Ban
	Permanent bool    `json:"permanent"`
	Packets   *uint64 `json:"packets"` // dropped; null for an account
	Bytes     *uint64 `json:"bytes"`   // dropped; null for an account
	Applied   *bool   `json:"applied"` // the kernel enforces it, or for an account the switch
}

// Trusted is a network or an account that is never banned.
type Trusted struct {
	Target    ban.Target `json:"target"` // an account may have the domain *: any
	Name      string     `json:"name"`
	Comment   string     `json:"comment"`
	Where     string     `json:"where"`   // file and line; "" if it is in no file
	RunTime   bool       `json:"runTime"` // the API added it, and can remove it
	Author    string     `json:"author"`
	Since     time.Time  `json:"addedAt,omitzero"`
	Until     time.Time  `json:"expiresAt,omitzero"` // absent: it does not end by itself
	Permanent bool       `json:"permanent"`
}

// Done is the answer to a change.
type Done struct {
	Status   string           `json:"status"`             // "success"
	Message  string           `json:"message"`            // "203.0.113.7 banned until …"
	Target   ban.Target       `json:"target"`             // of the ban or trust that was changed
	Applied  bool             `json:"applied"`            // the kernel agrees, or for an account the switch
	Why      string           `json:"why,omitempty"`      // why it does not
	Until    time.Time        `json:"expiresAt,omitzero"` // of what is in force now: the ban, the trust, or the grace of an unban; absent: it does not end, or nothing is in force
	Unbanned List[ban.Target] `json:"unbanned"`           // the targets of the bans that ended
}

// A Result is the answer to one item of a batch: it has a status or an error.
type Result struct {
	Item    int    `json:"item,omitempty"`   // in a brief answer: which item of the batch, from 1
	Target  string `json:"target"`           // of a malformed item: its text, cut at 64 bytes
	Status  string `json:"status,omitempty"` // "success"
	Error   string `json:"error,omitempty"`  // why it was refused
	Applied bool   `json:"applied"`          // likewise
	Why     string `json:"why,omitempty"`    // why it does not

	Until    time.Time        `json:"expiresAt,omitzero"` // of what is in force now; absent: it does not end
	Unbanned List[ban.Target] `json:"unbanned,omitempty"` // the targets of the bans that ended
}

// Cleared is the answer to an order to end many bans.
type Cleared struct {
	Status   string `json:"status"`        // "success"
	Message  string `json:"message"`       // "bans ended: 12"; and the ban of a network around it that stays
	Unbanned int    `json:"unbanned"`      // how many bans ended
	Applied  bool   `json:"applied"`       // the kernel agrees, and for accounts the switch
	Why      string `json:"why,omitempty"` // why it does not
}

// KernelPage is the answer to GET /security/iptables: the first action that writes to
// the kernel, and the others.
type KernelPage struct {
	Kernel
	More List[Kernel] `json:"more"`
}

// A Diagnostic is a mistake in the rule files, a warning or a notice.
type Diagnostic struct {
	Severity string `json:"severity"` // "error", "warning" or "notice"
	Summary  string `json:"summary"`  // what is wrong
	Detail   string `json:"detail"`   // what to do about it
	Where    string `json:"where"`    // "rules.d/00-site.hcl:4:3"; "" if it is in no file
}
