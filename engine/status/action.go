package status

import (
	"fmt"
	"slices"
	"time"
)

// Action is how one action is doing. Drift.Count and Lost never decrease.
type Action struct {
	Name      string    `json:"name"`    // "iptables.drop"
	Synced    bool      `json:"synced"`  // it has agreed with the ledger at least once
	Waiting   int       `json:"waiting"` // changes not yet carried out
	LastApply Apply     `json:"lastApply"`
	Latency   Histogram `json:"-"` // of all applies, in seconds
	Batches   Histogram `json:"-"` // of all applies, in changes
	Drift     Drift     `json:"drift"`
	Failures  int       `json:"failures"` // in a row
	Lost      uint64    `json:"lost"`     // times that changes were dropped because the action was too slow
	Error     string    `json:"error"`    // of the latest apply; "" after a success
	Private   bool      `json:"-"`        // its texts may name accounts and numbers: it is told of them
	Report
}

// Report is what an action itself knows of how it is doing.
type Report struct {
	Problems List[Problem] `json:"problems"` // beside Error
	Delivery *Delivery     `json:"delivery"` // nil if the action sends no notifications
}

// Add notes a problem. [Problems] sets its subject.
func (r *Report) Add(s Severity, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{Severity: s, Text: fmt.Sprintf(format, args...)})
}

// Apply is the latest batch that an action carried out.
type Apply struct {
	At      time.Time `json:"at,omitzero"`
	Took    Seconds   `json:"tookSeconds"`
	Changes int       `json:"changes"`
}

// Drift counts the repairs of an action and says what the latest one repaired.
type Drift struct {
	Count   uint64       `json:"count"`   // repairs
	Missing int          `json:"missing"` // bans that were not enforced
	Surplus int          `json:"surplus"` // entries that no ban wanted
	Notes   List[string] `json:"notes"`   // "jump from INPUT was gone"
}

// Delivery is how an action gets on with its notifications. The counters start
// again when a reload changes the block of the action.
type Delivery struct {
	Delivered  uint64    `json:"delivered"`             // notifications
	Dropped    uint64    `json:"dropped"`               // notifications that will never be delivered
	Failed     uint64    `json:"failed"`                // attempts, most of which are retried
	Waiting    int       `json:"waiting"`               // notifications in the queue
	Since      time.Time `json:"waitingSince,omitzero"` // when the oldest of them was queued
	Failures   int       `json:"failures"`              // attempts in a row that failed
	Error      string    `json:"error"`                 // of the latest attempt, without secrets; "" after a success
	Durable    bool      `json:"durable"`               // the queue survives a restart
	SpoolError string    `json:"spoolError"`            // why it does not although it should
}

// A Histogram is the distribution of a number.
type Histogram struct {
	Count  uint64
	Sum    float64
	Bounds []float64 // upper bounds of the buckets, ascending; read-only
	Counts [10]uint64
}

// NewHistogram returns an empty histogram with at most ten buckets.
func NewHistogram(bounds ...float64) Histogram { return Histogram{Bounds: bounds} }

// Add counts one value.
func (h *Histogram) Add(value float64) {
	h.Count++
	h.Sum += value
	i, _ := slices.BinarySearch(h.Bounds, value)
	for ; i < len(h.Bounds); i++ {
		h.Counts[i]++
	}
}

// Buckets returns for each upper bound how many values were not above it.
func (h *Histogram) Buckets() map[float64]uint64 {
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		buckets[bound] = h.Counts[i]
	}
	return buckets
}
