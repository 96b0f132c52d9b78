package client

import (
	"encoding/json"
	"time"

	"freeswitch-security/engine/status"
)

// The answers of the daemon, as openapi.yaml has them. A time that may be missing
// is nil then. Texts may have been written by a caller, and are not escaped.

// Done is what became of one change.
type Done struct {
	Message   string    `json:"message"`
	Target    string    `json:"target"` // the target that was acted on
	Applied   bool      `json:"applied"`
	Why       string    `json:"why,omitempty"`      // why it is not applied
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // of what stands now; zero: never, or nothing does
	Lifted    []string  `json:"lifted,omitempty"`
}

// A Result is what became of one item of a batch.
type Result struct {
	Target  string `json:"target"`
	Error   string `json:"error,omitempty"` // why it was refused; "": it was done
	Applied bool   `json:"applied"`
	Why     string `json:"why,omitempty"`
}

// A BanRequest is one item of a batch of bans.
type BanRequest struct {
	IP     string `json:"ip"`
	Reason string `json:"reason,omitempty"`
	// TTL is a duration ("10m"), "permanent", or a number of seconds; absent, the
	// ban lasts for security.block_duration.
	TTL json.RawMessage `json:"ttl,omitempty"`
}

// A TrustRequest is one item of a batch of trust. Without a TTL it lasts for a day.
type TrustRequest struct {
	IP      string          `json:"ip"`
	Comment string          `json:"comment,omitempty"`
	TTL     json.RawMessage `json:"ttl,omitempty"`
}

// A Ban is a ban in force.
type Ban struct {
	Target    string     `json:"target"` // the target, which may be a network
	Rule      string     `json:"rule"`
	Source    string     `json:"source"`
	Key       string     `json:"key"`
	Reason    string     `json:"reason"`
	AddedAt   time.Time  `json:"addedAt"`
	ExpiresAt time.Time  `json:"expiresAt,omitzero"` // zero: permanent
	Permanent bool       `json:"permanent"`
	Offence   int        `json:"offence"`
	Author    string     `json:"author"`
	Actions   []string   `json:"actions"` // nil: all
	Evidence  []Evidence `json:"evidence"`
	Packets   *uint64    `json:"packets"` // nil: the kernel could not be read; so are the next two
	Bytes     *uint64    `json:"bytes"`
	Applied   *bool      `json:"applied"`
}

// Evidence is one event that spoke for a ban.
type Evidence struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	Source string    `json:"source"`
	IP     string    `json:"ip"`
	User   string    `json:"user"`
	Domain string    `json:"domain"`
	Text   string    `json:"text"`
}

// Trusted is a network that is never banned.
type Trusted struct {
	Target    string    `json:"target"`
	Name      string    `json:"name"`
	Comment   string    `json:"comment"`
	Where     string    `json:"where"`   // file and line; "": in no file
	RunTime   bool      `json:"runTime"` // it can be taken out again
	Author    string    `json:"author"`
	AddedAt   time.Time `json:"addedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	Permanent bool      `json:"permanent"`
}

// A Kernel is what stands in the kernel for the first action that writes there.
type Kernel struct {
	status.Kernel
	More []status.Kernel `json:"more"` // of the other ones
}
