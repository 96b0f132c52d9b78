package logfile

import (
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
	name        string // the reference: "log.freeswitch"
	path        string
	zone        *time.Location // of stamps without an offset
	detect      bool           // lines that an attacker wrote become log_forgery
	piece       int            // forgery.PieceLength; smaller in tests
	corroborate settings.Text  // the source that must have reported the same
	patterns    pattern.Set    // the operator's, then the catalogue
}

// doubts reports whether the source looks at the lines around an event.
func (s *source) doubts() bool { return s.detect || s.corroborate.Value != "" }

// Describe names the events of the source's patterns.
func (s *source) Describe() plugin.Description {
	d := plugin.Description{Events: vocabulary(s.patterns), Log: true, Path: s.path, Corroborate: s.corroborate, Explain: s.Explain}
	if s.doubts() {
		d.Events.Add(plugin.EventSpec{Name: event.LogForgery, Fields: []string{"ip", "level", "file", "message"}, Raw: []string{event.ClaimedEvent, event.ClaimedIP}})
	}
	return d
}

// Builtin lists the events of the built-in patterns.
func Builtin() plugin.Vocabulary { return vocabulary(catalogue) }

func vocabulary(patterns pattern.Set) (v plugin.Vocabulary) {
	for i := range patterns {
		fields, raw := patterns[i].Fields()
		v.Add(plugin.EventSpec{Name: patterns[i].Event, Fields: append(fields, "level", "file", "message"), Raw: raw})
	}
	return v
}
