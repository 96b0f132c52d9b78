package status

import "time"

// Status is how an engine is doing.
type Status struct {
	Severity   Severity      `json:"status"` // of the worst problem
	Version    string        `json:"version"`
	Started    time.Time     `json:"started,omitzero"`
	AutoBlock  bool          `json:"autoBlock"`  // false: the bans of rules are not enforced
	DryRun     bool          `json:"dryRun"`     // no action runs
	QueueDepth int           `json:"queueDepth"` // events that wait for the rules
	Reload     Reload        `json:"reload"`
	State      State         `json:"state"`
	Problems   List[Problem] `json:"problems"` // see [Problems]
	Rules      List[Rule]    `json:"rules"`
	Sources    List[Source]  `json:"sources"`
	Actions    List[Action]  `json:"actions"`
	Fleet      *Fleet        `json:"fleet,omitempty"` // nil: the guard is in no fleet
	Names      []string      `json:"-"`               // what is wrong with trusted names, for [Problems]
	GeoIP      []Database    `json:"geoip,omitempty"` // nil: the rule files have no geoip block
	Stats      Stats         `json:"stats"`
}

// Reload is the latest attempt to load the rule files.
type Reload struct {
	At    time.Time `json:"at,omitzero"` // when the rules in use were loaded
	Error string    `json:"error"`       // of the latest attempt; "" after a success
}

// State says whether the bans survive a restart, and have survived the last one.
type State struct {
	Error  string `json:"error"`  // why they do not; "" if they do
	Damage string `json:"damage"` // of the file of the run before, until the next start; "" if there was none
}

// Stats is what happened since the start of the process, and how many bans are in
// force. Packets and Bytes are nil if the kernel could not be read, and in a dry run.
type Stats struct {
	ActiveBans      int          `json:"activeBans"`
	TrustedNetworks int          `json:"trustedNetworks"` // entries, those of accounts as well
	Events          uint64       `json:"events"`
	SetAside        uint64       `json:"setAside"` // events that did not count: the bans that are not enforced would have dropped their packets
	Lost            uint64       `json:"lost"`     // events, on all sources
	Lines           uint64       `json:"lines"`    // read, on all sources
	Bytes           uint64       `json:"bytes"`    // read, on all sources
	Matches         uint64       `json:"matches"`
	Firings         uint64       `json:"firings"`
	Bans            uint64       `json:"bans"`
	Unbans          uint64       `json:"unbans"`
	Alerts          uint64       `json:"alerts"`
	Refusals        uint64       `json:"refusals"`
	LastBan         time.Time    `json:"lastBan,omitzero"`
	DroppedPackets  *uint64      `json:"droppedPackets"` // by the bans in force
	DroppedBytes    *uint64      `json:"droppedBytes"`
	Tallies         List[Tally]  `json:"tallies"`
	Countries       []Country    `json:"countries,omitempty"` // with bans, in the order of the first one; nil: no database of countries
	Known           Known        `json:"known"`
	Corroborated    Corroborated `json:"corroborated"`
}

// A Country is how many bans there were of its addresses, those of feeds aside.
type Country struct {
	Name string `json:"country"` // ISO 3166: DE; "unknown": no database says it; "other": one beyond MaxCountries
	Bans uint64 `json:"bans"`
}

// MaxCountries bounds the countries that are counted. There are some 250.
const MaxCountries = 300

// A Database is the state of a file of the geoip block.
type Database struct {
	Path  string `json:"path"`
	Built string `json:"built"` // the day on which the database in use was made; "": none is in use
	Error string `json:"error"` // why the file is not in use as it is; "" if it is
}

// Known is what the switch itself knows, as far as it protects addresses.
type Known struct {
	Registrations   int    `json:"registrations"`   // of phones
	Dialogues       int    `json:"dialogues"`       // hosts with a recent one
	Accounts        int    `json:"accounts"`        // with a history, which a rule uses
	Evicted         uint64 `json:"evicted"`         // registrations given up early, because there are too many
	GatewaysRefused uint64 `json:"gatewaysRefused"` // addresses of gateways beyond the limit, which are not trusted
}

// Corroborated counts the events of logs that another source verifies.
type Corroborated struct {
	Confirmed uint64 `json:"confirmed"`
	Forged    uint64 `json:"forged"`
	Unheard   uint64 `json:"unheard"` // discarded because the other source was not heard at that time, or cannot contradict
}

// Sum fills the totals in Stats and Rules from Sources, Rules and Tallies.
func (s *Status) Sum() {
	t := &s.Stats
	for _, source := range s.Sources {
		t.Lost += source.Lost
		t.Lines += source.Lines
		t.Bytes += source.Bytes
	}
	for i := range s.Rules {
		t.Matches += s.Rules[i].Matches
		t.Firings += s.Rules[i].Firings
	}
	for _, tally := range t.Tallies {
		t.Bans += tally.Bans
		t.Unbans += tally.Unbans
		t.Alerts += tally.Alerts
		t.Refusals += tally.Refusals
		if tally.LastBan.After(t.LastBan) {
			t.LastBan = tally.LastBan
		}
		for i := range s.Rules {
			if r := &s.Rules[i]; r.Name == tally.Rule {
				r.Bans += tally.Bans
				r.Alerts += tally.Alerts
				r.Refusals += tally.Refusals
			}
		}
	}
}
