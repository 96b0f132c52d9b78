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
	Peers    List[Peer]    `json:"peers"`   // by name
	Problems List[Problem] `json:"problems"`
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
}
