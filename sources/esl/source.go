package esl

import (
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Records makes a reader of FreeSWITCH's log records for the named source. The zone is
// that of their stamps. The reader turns one message, all its lines, into an event; nil
// if it is none. It is called by one goroutine.
type Records func(source string, zone *time.Location) func(message string) *event.Event

// Kind makes sources of event sockets. They read log records with records, so that those
// become the same events as in the log file.
func Kind(records Records) plugin.SourceKind {
	return plugin.SourceKind{Name: "esl", New: func(b *settings.Block, env plugin.SourceEnv) plugin.Source {
		return read(b, env, records)
	}}
}

// source is one `source "esl"` block.
type source struct {
	name     string // the reference: "esl.pbx"
	at       esl.Switch
	log      bool           // log records are read as well
	zone     *time.Location // of the stamps in them
	queue    int            // events that may wait for the engine
	records  Records
	progress progress // of Follow
}

var _ plugin.Comparer = (*source)(nil)

// Switch returns the FreeSWITCH of the source, for an action on the same one.
func (s *source) Switch() esl.Switch { return s.at }

// Describe lists the events of the source. Its raw fields are the headers of
// FreeSWITCH's events, to which dialplans and directories add.
func (s *source) Describe() plugin.Description {
	d := plugin.Description{Hears: true, Merge: s.merge}
	for i := range reports {
		d.Events.Add(plugin.EventSpec{Name: reports[i].event, Open: true})
	}
	if s.log {
		for _, name := range recordEvents {
			d.Events.Add(plugin.EventSpec{Name: name, Open: true})
		}
	}
	return d
}

// Same reports whether another source has the same configuration.
func (s *source) Same(other any) bool {
	o, ok := other.(*source)
	return ok && s.name == o.name && s.at.Address == o.at.Address && s.at.Password == o.at.Password &&
		s.log == o.log && s.zone.String() == o.zone.String() && s.queue == o.queue
}
