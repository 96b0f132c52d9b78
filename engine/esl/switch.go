package esl

// A Switch is a FreeSWITCH whose event socket can be reached, and how.
type Switch struct {
	Address  string // "127.0.0.1:8021", "[::1]:8021", "pbx.example:8021"
	Password string `json:"-"`

	limits limits
}

// String leaves the password out, wherever a switch is printed.
func (s Switch) String() string { return s.Address }

// A Subscription says what a connection is to report.
type Subscription struct {
	Events     []string // names: "CHANNEL_CREATE", "HEARTBEAT"
	Subclasses []string // of CUSTOM events: "sofia::register_failure"
	LogLevel   int      // log records up to this level, 4 being WARNING; -1: none

	// Unreadable is called, if it is set, for every frame that was passed over
	// because it cannot be read, by the goroutine that calls take.
	Unreadable func()
}
