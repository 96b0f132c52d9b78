package esl

import (
	"io"
	"slices"
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
// become the same events as in the log file, which are listed in events.
func Kind(events plugin.Vocabulary, records Records) plugin.SourceKind {
	inLog := inLogAlone(events)
	return plugin.SourceKind{Name: "esl", New: func(b *settings.Block, env plugin.SourceEnv) plugin.Source {
		s := read(b, env)
		s.inLog, s.records = inLog, records
		return s
	}}
}

// inLogAlone returns the events that the stream does not report.
func inLogAlone(events plugin.Vocabulary) plugin.Vocabulary {
	return slices.DeleteFunc(slices.Clone(events), func(e plugin.EventSpec) bool { return isReported[e.Name] })
}

// source is one `source "esl"` block.
type source struct {
	name    string // the reference: "esl.pbx"
	at      esl.Switch
	log     bool              // log records are read as well
	inLog   plugin.Vocabulary // events of the log alone
	records Records
	zone    *time.Location // of the stamps in them
	queue   int            // events that may wait for the engine
}

// Switch returns the FreeSWITCH of the source, for an action on the same one.
func (s *source) Switch() esl.Switch { return s.at }

// Describe lists the events of the table, and those of the log alone.
func (s *source) Describe() plugin.Description {
	merge := func(recordings []io.Reader) io.Reader { return esl.Merge(s.zone, recordings) }
	d := plugin.Description{Hears: true, Merge: merge}
	for i := range reports {
		d.Events.Add(reports[i].spec())
	}
	for _, e := range s.inLog {
		if s.log {
			d.Events.Add(e)
		}
	}
	return d
}
