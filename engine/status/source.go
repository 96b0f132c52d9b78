package status

import "time"

// Source is how one source is doing. Its counters start with the process and
// never decrease.
type Source struct {
	Name         string    `json:"name"`                  // "log.freeswitch"
	Running      bool      `json:"running"`               // it is being followed
	Events       uint64    `json:"events"`                // emitted
	Lost         uint64    `json:"lost"`                  // events, and lines of a named pipe, dropped here or at the switch
	Lines        uint64    `json:"lines"`                 // lines read; frames or packets where the source has no lines
	Bytes        uint64    `json:"bytes"`                 // read
	Skipped      uint64    `json:"skipped"`               // lines too long to decode, and packets that are not SIP or whose sender is refused
	Unsent       uint64    `json:"unsent"`                // packets that a source was to send on, and could not
	Doubted      uint64    `json:"doubted"`               // lines that look like an event and are discarded as evidence
	Connects     uint64    `json:"connects"`              // successful connects; 0 for a file
	Disconnected time.Time `json:"disconnected,omitzero"` // when the latest connection ended; before the first: when the program began
	Restarts     uint64    `json:"restarts"`              // restarts of the switch that were noticed
	Behind       int64     `json:"behindBytes"`           // bytes that exist and are not read yet
	Lag          Seconds   `json:"lagSeconds"`            // age of the latest event while Behind > 0; else 0
	LastEvent    time.Time `json:"lastEvent,omitzero"`    // stamp of the latest event
	Clock        Seconds   `json:"clockBehindSeconds"`    // how far its stamps are behind the host's clock; 0: they are right
	Fault        string    `json:"fault"`                 // why nothing can be read; "" if it can

	Problems List[Problem] `json:"problems"` // what is wrong or worth knowing although it can be read
}

// A Hearing says since when a source has heard everything from the switch; zero: it does
// not, or is behind.
type Hearing struct {
	Events  time.Time
	Records time.Time // of the switch's log
}
