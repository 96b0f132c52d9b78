package client

import (
	"encoding/json"
)

// A BanRequest is one item of a batch of bans.
type BanRequest struct {
	IP     string `json:"ip"`
	Reason string `json:"reason,omitempty"`
	// TTL is a duration ("10m"), "permanent", or a number of seconds; absent, the
	// ban lasts for security.block_duration.
	TTL  json.RawMessage `json:"ttl,omitempty"`
	Here bool            `json:"here,omitempty"` // at this node of a fleet alone
}

// A TrustRequest is one item of a batch of trust. Without a TTL it lasts for a day.
type TrustRequest struct {
	IP      string          `json:"ip"`
	Comment string          `json:"comment,omitempty"`
	TTL     json.RawMessage `json:"ttl,omitempty"`
	Here    bool            `json:"here,omitempty"` // at this node of a fleet alone
}
