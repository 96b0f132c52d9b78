package logfile

import (
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/sources/logfile/pattern"
)

// Kind makes sources of FreeSWITCH's log file.
var Kind = plugin.SourceKind{Name: "log", New: newSource}

// DefaultPath is where FreeSWITCH's packages put the log.
const DefaultPath = "/var/log/freeswitch/freeswitch.log"

// source is one `source "log"` block.
type source struct {
	name     string // the reference: "log.freeswitch"
	path     string
	zone     *time.Location // of stamps without an offset
	begun    chan struct{}  // closed once Follow has found where it begins
	once     sync.Once      // closes begun
	progress progress       // of Follow
	detect   bool           // lines that an attacker wrote become log_forgery
	piece    int            // forgery.PieceLength; smaller in tests
	witness  witness        // the source that must have reported the same
	patterns pattern.Set    // the operator's, then the catalogue
}

var (
	_ plugin.Source    = (*source)(nil)
	_ plugin.Explainer = (*source)(nil)
)

func newSource(b *settings.Block, env plugin.SourceEnv) plugin.Source {
	body, eval := b.Raw()
	env.Eval = eval
	s, diags := decodeBody(body, env)
	b.Add(diags)
	return s
}

// doubts reports whether the source looks at the lines around an event.
func (s *source) doubts() bool { return s.detect || s.witness.ref != "" }

// Vocabulary names the events and raw fields of the source's patterns.
func (s *source) Vocabulary() plugin.Vocabulary {
	var v plugin.Vocabulary
	for i := range s.patterns {
		v.Events = append(v.Events, s.patterns[i].Event)
		_, raw := s.patterns[i].Fields()
		v.Fields = append(v.Fields, raw...)
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

// Path returns the path of the log, for an examination of the host.
func (s *source) Path() string { return s.path }
