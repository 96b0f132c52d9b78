package status

import "time"

// Status is how an engine is doing.
type Status struct {
	Started   time.Time    `json:"started,omitzero"`
	AutoBlock bool         `json:"autoBlock"` // false: rules decide and report, and ban nothing
	DryRun    bool         `json:"dryRun"`    // no action runs
	Waiting   int          `json:"queueDepth"`
	Reload    Reload       `json:"reload"`
	State     State        `json:"state"`
	Rules     List[Rule]   `json:"rules"`
	Sources   List[Source] `json:"sources"`
	Actions   List[Action] `json:"actions"`
	Stats     Stats        `json:"stats"`
}

// Reload is the latest attempt to load the rule files.
type Reload struct {
	At    time.Time `json:"at,omitzero"` // when the rules in use were loaded
	Error string    `json:"error"`       // of the latest attempt; "" after a success
}

// State says whether the bans survive a restart.
type State struct {
	Error string `json:"error"` // why not; "" if they do
}

// Stats is what happened since the start of the process.
type Stats struct {
	Events       uint64       `json:"events"`
	Bans         int          `json:"activeBans"`
	Trusted      int          `json:"trustedNetworks"`
	Tallies      List[Tally]  `json:"tallies"`
	Known        Known        `json:"known"`
	Corroborated Corroborated `json:"corroborated"`
}

// Known is what the switch itself knows, as far as it protects addresses.
type Known struct {
	Registrations   int    `json:"registrations"`   // of phones
	Evicted         uint64 `json:"evicted"`         // registrations given up early, because there are too many
	GatewaysRefused uint64 `json:"gatewaysRefused"` // addresses of gateways beyond the limit, which are not trusted
}

// Corroborated counts the events of logs that another source verifies.
type Corroborated struct {
	Confirmed uint64 `json:"confirmed"`
	Forged    uint64 `json:"forged"`
	Unheard   uint64 `json:"unheard"` // discarded because the other source was not heard at that time
}
