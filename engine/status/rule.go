package status

import (
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

// Rule is what one rule has done and holds. But for Tracked and BrakeFactor, its numbers never
// decrease.
type Rule struct {
	Name        string         `json:"name"`
	Where       string         `json:"where"`   // file and line
	On          List[string]   `json:"on"`      // sources
	Terms       List[ban.Term] `json:"terms"`   // of its bans, by offence; none if it does not ban
	Matches     uint64         `json:"matches"` // events for which its expression was true
	Firings     uint64         `json:"firings"` // times that it reached its threshold
	LastFiring  time.Time      `json:"lastFiring,omitzero"`
	Held        uint64         `json:"held"`        // repeated alerts and sparings that were held back
	Tracked     int            `json:"tracked"`     // keys with a window
	BrakeFactor int            `json:"brakeFactor"` // times that a new target has to reach the threshold; 1: the brake is not used up
	Withheld    uint64         `json:"withheld"`    // bans that a used-up brake has withheld
	Evicted     uint64         `json:"evicted"`     // windows given up early, because the rule tracks too many keys
	Expired     uint64         `json:"expired"`     // windows that were over
	Errors      uint64         `json:"errors"`      // events for which its expression could not be evaluated
	LastError   string         `json:"lastError"`
	Bans        uint64         `json:"bans"` // see [Tally]; on all sources
	Alerts      uint64         `json:"alerts"`
	Refusals    uint64         `json:"refusals"`
}

// A Tally counts what one rule decided on events of one source. Neither is set for
// what no rule ordered.
type Tally struct {
	Rule     string    `json:"rule"`
	Source   string    `json:"source"`
	Bans     uint64    `json:"bans"`
	Unbans   uint64    `json:"unbans"`
	Alerts   uint64    `json:"alerts"`
	Refusals uint64    `json:"refusals"` // without those of targets that are already banned
	LastBan  time.Time `json:"lastBan,omitzero"`
}

// A Tracker is a key and how far it is from firing a rule.
type Tracker struct {
	Rule   string    `json:"rule"`
	Source string    `json:"source"`
	Key    string    `json:"key"`           // "203.0.113.7", "1000@pbx"; "" if it is no longer kept
	Count  int       `json:"count"`         // matches or distinct values in the window
	Limit  int       `json:"limit"`         // at which the rule fires, or starts to wait for Then
	Then   string    `json:"then"`          // expression that an event must match thereafter; "" if there is none
	Within Seconds   `json:"withinSeconds"` // 0: they are calls that are open
	Last   time.Time `json:"last"`          // latest match
}

// Concerns reports whether the key is of a target: an address or a network in it, one of several
// parts perhaps, overlaps; or it is the account.
func (t *Tracker) Concerns(target ban.Target) bool {
	for part := range strings.SplitSeq(t.Key, ",") {
		p, err := ban.ParseTarget(part)
		if err == nil && (p == target || p.Prefix().Overlaps(target.Prefix())) {
			return true
		}
	}
	return false
}
