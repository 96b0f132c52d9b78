package client

import (
	"encoding/json"
	"time"
)

// The answers of the daemon, as openapi.yaml has them. A time that may be missing
// is nil then. Texts may have been written by a caller, and are not escaped.

// Done is what became of one change.
type Done struct {
	Message   string     `json:"message"`
	IP        string     `json:"ip"` // the target that was acted on
	Applied   bool       `json:"applied"`
	Why       string     `json:"why,omitempty"` // why it is not applied
	ExpiresAt *time.Time `json:"expiresAt"`     // of what stands now; nil: never, or nothing does
	Lifted    []string   `json:"lifted,omitempty"`
}

// A Result is what became of one item of a batch.
type Result struct {
	IP      string `json:"ip"`
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
	IP        string     `json:"ip"` // the target, which may be a network
	Rule      string     `json:"rule"`
	Source    string     `json:"source"`
	Key       string     `json:"key"`
	Reason    string     `json:"reason"`
	AddedAt   time.Time  `json:"addedAt"`
	ExpiresAt *time.Time `json:"expiresAt"` // nil: permanent
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
	IP        string     `json:"ip"`
	Name      string     `json:"name"`
	Comment   string     `json:"comment"`
	Where     string     `json:"where"`   // file and line; "": in no file
	RunTime   bool       `json:"runTime"` // it can be taken out again
	Author    string     `json:"author"`
	AddedAt   *time.Time `json:"addedAt"`
	ExpiresAt *time.Time `json:"expiresAt"`
	Permanent bool       `json:"permanent"`
}

// Status is how the daemon is doing.
type Status struct {
	Status         string    `json:"status"` // "ok" or "degraded"
	Version        string    `json:"version"`
	Enabled        bool      `json:"enabled"` // bans of rules are carried out
	AutoBlock      bool      `json:"autoBlock"`
	DryRun         bool      `json:"dryRun"`
	StartedAt      time.Time `json:"startedAt"`
	UptimeSeconds  float64   `json:"uptimeSeconds"`
	BlacklistCount int       `json:"blacklistCount"`
	WhitelistCount int       `json:"whitelistCount"`
	RuleCount      int       `json:"ruleCount"`
	SourceCount    int       `json:"sourceCount"`
	ActionCount    int       `json:"actionCount"`
	QueueDepth     int       `json:"queueDepth"`
	Reload         struct {
		At    *time.Time `json:"at"`
		Error string     `json:"error"`
	} `json:"reload"`
	State struct {
		Error string `json:"error"`
	} `json:"state"`
	Problems []string `json:"problems"`
	Actions  []Action `json:"actions"`
}

// An Action is how one action is doing.
type Action struct {
	Name      string    `json:"name"`
	Synced    bool      `json:"synced"`
	Waiting   int       `json:"waiting"`
	LastApply Apply     `json:"lastApply"`
	Drifts    uint64    `json:"drifts"`
	Failures  int       `json:"failures"` // in a row
	Lost      uint64    `json:"lost"`
	Error     string    `json:"error"`
	Delivery  *Delivery `json:"delivery"` // nil: it tells nobody
}

// A Delivery is how an action that tells others gets on, since its block last changed.
type Delivery struct {
	Delivered    uint64     `json:"delivered"`    // notices
	Dropped      uint64     `json:"dropped"`      // notices of which nobody will hear
	Failed       uint64     `json:"failed"`       // attempts, most of which are made again
	Waiting      int        `json:"waiting"`      // notices
	WaitingSince *time.Time `json:"waitingSince"` // the oldest of them
	Error        string     `json:"error"`        // of the last attempt; "" after a success
	Unkept       string     `json:"unkept"`       // why what waits would not survive a restart
}

// An Apply is the last time that an action carried something out.
type Apply struct {
	At          *time.Time `json:"at"`
	TookSeconds float64    `json:"tookSeconds"`
	Changes     int        `json:"changes"`
}

// Stats is what has happened since the daemon's start.
type Stats struct {
	Events                 uint64     `json:"events"`
	Matches                uint64     `json:"matches"`
	Firings                uint64     `json:"firings"`
	Bans                   uint64     `json:"bans"`
	Unbans                 uint64     `json:"unbans"`
	Alerts                 uint64     `json:"alerts"`
	Refusals               uint64     `json:"refusals"`
	LostEvents             uint64     `json:"lostEvents"`
	LinesRead              uint64     `json:"linesRead"`
	BytesRead              uint64     `json:"bytesRead"`
	ActiveBlacklistEntries int        `json:"activeBlacklistEntries"`
	ActiveWhitelistEntries int        `json:"activeWhitelistEntries"`
	PacketsDropped         *uint64    `json:"packetsDropped"` // nil: the kernel could not be read, or it is a dry run
	BytesDropped           *uint64    `json:"bytesDropped"`
	LastBanAt              *time.Time `json:"lastBanAt"`
	Tallies                []Tally    `json:"tallies"`
	Known                  struct {
		Registrations   int    `json:"registrations"` // of phones whose addresses are protected
		Evicted         uint64 `json:"evicted"`       // that had to give way
		GatewaysRefused uint64 `json:"gatewaysRefused"`
	} `json:"known"`
	Corroborated struct {
		Confirmed uint64 `json:"confirmed"`
		Forged    uint64 `json:"forged"`
		Unheard   uint64 `json:"unheard"` // nobody could vouch for them
	} `json:"corroborated"`
}

// A Tally counts the verdicts of one rule on one source.
type Tally struct {
	Rule      string     `json:"rule"`
	Source    string     `json:"source"`
	Bans      uint64     `json:"bans"`
	Unbans    uint64     `json:"unbans"`
	Alerts    uint64     `json:"alerts"`
	Refusals  uint64     `json:"refusals"`
	LastBanAt *time.Time `json:"lastBanAt"`
}

// A Source is how far one source has come.
type Source struct {
	Name        string     `json:"name"`
	Running     bool       `json:"running"`
	Events      uint64     `json:"events"`
	Lost        uint64     `json:"lost"`
	Lines       uint64     `json:"lines"`
	Bytes       uint64     `json:"bytes"`
	Skipped     uint64     `json:"skipped"`
	Doubted     uint64     `json:"doubted"`
	Connects    uint64     `json:"connects"`
	Restarts    uint64     `json:"restarts"` // of the switch
	BehindBytes int64      `json:"behindBytes"`
	LagSeconds  float64    `json:"lagSeconds"`
	LastEventAt *time.Time `json:"lastEventAt"`
	Fault       string     `json:"fault"`
	Warning     string     `json:"warning"`
}

// A Kernel is what stands in the kernel for the first action that writes there.
type Kernel struct {
	KernelView
	More []KernelView `json:"more"` // for the other ones
}

// A KernelView is what stands in the kernel for one action.
type KernelView struct {
	Action   string        `json:"action"`
	Chain    string        `json:"chain"`
	Backend  string        `json:"backend"`
	Versions []string      `json:"versions"`
	Jumps    []Jump        `json:"jumps"`
	Unread   bool          `json:"unread"` // not all of it could be read
	Count    *int          `json:"count"`  // of entries; nil where it is unread
	Entries  []KernelEntry `json:"entries"`
	Foreign  []string      `json:"foreign"`
	Warnings []string      `json:"warnings"`
	Errors   []string      `json:"errors"` // why bans are not in force
	Drift    Drift         `json:"drift"`
	Last     Apply         `json:"lastApply"`
}

// Drift is what had to be mended in the kernel.
type Drift struct {
	Count   uint64   `json:"count"`   // since the start
	Missing int      `json:"missing"` // the last time: bans that were not in force
	Surplus int      `json:"surplus"`
	Notes   []string `json:"notes"`
}

// A Jump is one way for packets to the chain.
type Jump struct {
	Family   string `json:"family"`
	Hook     string `json:"hook"`
	Match    string `json:"match"`
	Position int    `json:"position"` // from 1; 0: there is none
	Waiting  bool   `json:"waiting"`
}

// A KernelEntry is a ban as the kernel has it.
type KernelEntry struct {
	IP               string   `json:"ip"`
	Packets          uint64   `json:"packets"`
	Bytes            uint64   `json:"bytes"`
	RemainingSeconds *float64 `json:"remainingSeconds"`
	Permanent        bool     `json:"permanent"`
}

// A Rule is what one rule has done. Its counts are left to programs.
type Rule struct {
	Name string `json:"name"`
}

// A Tracker is a key and how far it is from firing a rule.
type Tracker struct {
	Rule          string    `json:"rule"`
	Source        string    `json:"source"`
	Key           string    `json:"key"`
	Count         int       `json:"count"`
	Limit         int       `json:"limit"` // at which the rule fires
	WithinSeconds float64   `json:"withinSeconds"`
	LastAt        time.Time `json:"lastAt"`
}

// A Notice is a verdict as it happens.
type Notice struct {
	Time      time.Time  `json:"time"`
	Kind      string     `json:"kind"` // "ban", "unban", "alert" or "refused"
	IP        string     `json:"ip"`   // "": there is none
	Rule      string     `json:"rule"`
	Source    string     `json:"source"`
	Author    string     `json:"author"`
	Offence   int        `json:"offence"`
	For       *string    `json:"for"` // "10m" or "permanent"; nil: there is none
	ExpiresAt *time.Time `json:"expiresAt"`
	Reason    string     `json:"reason"`
	Evidence  []Evidence `json:"evidence"`
	Standing  bool       `json:"standing"` // refused because a ban stands already
	DryRun    bool       `json:"dryRun"`   // nobody is really blocked
}
