package status

import "time"

// Fleet is how a node is doing in its fleet.
type Fleet struct {
	Node     string        `json:"node"`
	Bucket   string        `json:"bucket"`
	Server   string        `json:"server"`  // that it is connected to; "": none
	Joined   bool          `json:"joined"`  // it has its name, and all that the bucket has
	Records  int           `json:"records"` // of the bucket, as this node knows it
	Unsent   int           `json:"unsent"`  // its own decisions that the bucket does not have yet
	Refused  int           `json:"refused"` // decisions of peers that are not in force here
	Dropped  uint64        `json:"dropped"` // messages to peers that were not sent
	Notices  List[Notices] `json:"notices"` // by kind
	Firings  Firings       `json:"firings"`
	Peers    List[Peer]    `json:"peers"` // by name
	Problems List[Problem] `json:"problems"`
}

// Notices counts what a node and its peers tell each other about events, of one kind: "counts" is what rules
// count, "registrations" what the switches know. It never decreases.
type Notices struct {
	Kind     string `json:"kind"`
	Told     uint64 `json:"told"`     // to all peers
	Dropped  uint64 `json:"dropped"`  // not told: too many, or too long without a server
	Taken    uint64 `json:"taken"`    // of peers
	Repeated uint64 `json:"repeated"` // of peers: delivered again, and ignored
	Missed   uint64 `json:"missed"`   // of peers: lost on the way
	Refused  uint64 `json:"refused"`  // of peers: too many, or not readable
}

// Firings counts the firings of rules that count over the fleet.
type Firings struct {
	Node uint64 `json:"node"` // of this node, for all
	Late uint64 `json:"late"` // of this node: the peer with the latest match did not fire in time
	Peer uint64 `json:"peer"` // of peers, that this node was told of
}

// Peer is another node of the fleet. Its counters never decrease.
type Peer struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Heard   time.Time `json:"lastHeard,omitzero"`
	Clock   Seconds   `json:"clockAheadSeconds"` // of this node's clock
	Lag     Seconds   `json:"lagSeconds"`        // age of its latest decision when it was taken here
	Taken   uint64    `json:"taken"`             // decisions that are in force here
	Refused uint64    `json:"refused"`
	Why     string    `json:"why"`     // the latest refusal
	Dropped uint64    `json:"dropped"` // messages that were too many or too long
	Missed  uint64    `json:"missed"`  // notices that were lost on the way
}
