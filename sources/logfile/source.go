package logfile

import (
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2"
)

// Kind makes sources of FreeSWITCH's log file.
var Kind = plugin.SourceKind{Name: "log", New: newSource}

// DefaultPath is where FreeSWITCH's packages put the log.
const DefaultPath = "/var/log/freeswitch/freeswitch.log"

// source is one `source "log"` block.
type source struct {
	name     string // the reference: "log.freeswitch"
	path     string
	zone     *time.Location // of stamps that tell none
	begun    chan struct{}  // closed once Follow has found where it begins
	once     sync.Once      // closes begun
	progress progress       // of Follow
	detect   bool           // lines that a caller wrote become log_forgery
	piece    int            // the unit of how much around a line is looked at, in bytes
	witness  witness        // who must have reported the same
	patterns []pattern      // the operator's own, then the catalogue: the first that matches names the event
}

var (
	_ plugin.Source    = (*source)(nil)
	_ plugin.Explainer = (*source)(nil)
)

func newSource(body hcl.Body, env plugin.SourceEnv) (plugin.Source, hcl.Diagnostics) {
	s, diags := decodeBody(body, env)
	if diags.HasErrors() {
		return nil, diags
	}
	return s, diags
}

// doubts reports whether lines may turn out not to be FreeSWITCH's own.
func (s *source) doubts() bool { return s.detect || s.witness.ref != "" }

// Vocabulary names the events and raw fields of the source's patterns.
func (s *source) Vocabulary() plugin.Vocabulary {
	var v plugin.Vocabulary
	for i := range s.patterns {
		v.Events = append(v.Events, s.patterns[i].event)
		v.Fields = append(v.Fields, s.patterns[i].raw()...)
	}
	if s.doubts() {
		v.Events = append(v.Events, event.LogForgery)
		v.Fields = append(v.Fields, event.ClaimedEvent, event.ClaimedIP)
	}
	for _, names := range []*[]string{&v.Events, &v.Fields} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return v
}

// Path is the log's, for whoever examines the host.
func (s *source) Path() string { return s.path }
