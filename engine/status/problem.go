package status

// A Severity says how bad a problem is.
type Severity string

const (
	// Critical: attacks are not seen, or bans are not in force.
	Critical Severity = "critical"
	// Warning: anything else that wants the attention of the operator.
	Warning Severity = "warning"
)

// A Problem is one reason why not all is well.
type Problem struct {
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // "source log.freeswitch", "action iptables.drop", "state", "rules"
	Text     string   `json:"text"`    // "open /var/log/freeswitch/freeswitch.log: no such file or directory"
}

func (p Problem) String() string {
	if p.Subject == "" {
		return p.Text
	}
	return p.Subject + ": " + p.Text
}
