package logfile

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/forgery"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// Kind makes sources of FreeSWITCH's log file.
var Kind = plugin.SourceKind{Name: "log", New: newSource}

// DefaultPath is where FreeSWITCH's packages put the log.
const DefaultPath = "/var/log/freeswitch/freeswitch.log"

// source is one `source "log"` block.
type source struct {
	name        string         // the reference: "log.freeswitch"
	path        string         // "" for a journal
	zone        *time.Location // of stamps without an offset
	detect      bool           // lines that an attacker wrote become log_forgery
	piece       int            // forgery.PieceLength; smaller in tests
	corroborate settings.Text  // the source that must have reported the same
	patterns    pattern.Set    // the operator's, then the catalogue
	indexing    sync.Once
	indexed     *pattern.Index // of the patterns, made when it is first used
}

// knownEvents are the names of events that are not the operator's own.
var knownEvents = func() []string {
	names := slices.Clone(event.Names)
	for _, b := range builtin {
		names = append(names, b.event)
	}
	return names
}()

// newSource reads the block `source "log" "name" { … }`.
func newSource(b *settings.Block, env plugin.SourceEnv) plugin.Source {
	path := DefaultPath
	b.Path("path", &path)
	s := newContent(b, env)
	s.path = path
	return s
}

// newContent reads what all sources of FreeSWITCH's lines have in common.
func newContent(b *settings.Block, env plugin.SourceEnv) *source {
	s := &source{name: env.Name, zone: time.Local, piece: forgery.PieceLength}
	b.Zone("timezone", &s.zone)
	forgery := "detect"
	b.Enum("forgery", &forgery, "detect", "ignore")
	s.detect = forgery == "detect"
	s.corroborate, _ = b.Reference("corroborate", "source", "source.esl.pbx")
	if s.corroborate.Value == env.Name {
		b.Error("corroborate", "Source that corroborates itself", fmt.Sprintf("source.%s cannot corroborate what it reports itself. Name the source that hears the same switch, such as source.esl.pbx.", env.Name))
	}
	builtin := true
	b.Bool("builtin", &builtin)
	events := b.Blocks("event", "name")
	if !builtin && len(events) == 0 {
		b.Error("builtin", "Source without events", "Without the built-in patterns the source reports nothing. Add event blocks, or leave the attribute out.")
	}
	for _, block := range events {
		s.patterns = append(s.patterns, readEvent(block))
	}
	if builtin {
		s.patterns = append(s.patterns, catalogue()...)
	}
	return s
}

// readEvent reads one event block.
func readEvent(b *settings.Block) (p pattern.Pattern) {
	name, line, level, header := b.Labels[0], "", "", true
	b.Bool("header", &header)
	checkName(b, name)
	if b.Require("line", "Paste the message that the event is made of, and write <name> where it varies.") && b.String("line", &line) {
		if !header {
			line = carrier.OtherText(line)
		}
		var problems []pattern.Problem
		p, problems = pattern.Compile(name, line)
		for _, problem := range problems {
			b.Error("line", problem.Summary, problem.Detail)
		}
	}
	if b.String("file", &p.File) && (p.File == "" || strings.ContainsAny(p.File, ": ")) {
		b.Error("file", "Bad source file", "Write the name of FreeSWITCH's source file as the line shows it, without the line number: \"sofia_reg.c\".")
	}
	if b.String("level", &level) {
		level = strings.ToUpper(level)
		if p.Level = record.Level(level); !slices.Contains(record.LevelNames, p.Level) {
			b.Error("level", "Unknown level", fmt.Sprintf("%q is not a log level.%s Levels are %s.", level, event.DidYouMean(level, record.LevelNames), strings.Join(record.LevelNames, ", ")))
		}
	}
	if !header {
		if p.File != "" || level != "" {
			b.Error("header", "File or level without a header", "The level and the source file stand in FreeSWITCH's header. Remove file and level, or header = false.")
		}
		p.Level = record.Other
	}
	return p
}

// checkName checks the name of an event: of the vocabulary, or of the operator's own.
func checkName(b *settings.Block, name string) {
	suggestion := event.Mistyped(name, knownEvents)
	switch {
	case slices.Contains(knownEvents, name):
	case suggestion != "":
		b.ErrorAt(b.LabelRanges[0], "Unknown event", fmt.Sprintf("There is no event %q. Did you mean %q? An event of your own needs a name that is less like it.", name, suggestion))
	case !pattern.IsName(name):
		b.ErrorAt(b.LabelRanges[0], "Bad event name", fmt.Sprintf("%q is not an event name: write small letters, digits and underscores, a letter first.", name))
	}
}

// doubts reports whether the source looks at the lines around an event.
func (s *source) doubts() bool { return s.detect || s.corroborate.Value != "" }

func hasHeader(p pattern.Pattern) bool { return p.Level != record.Other }

// Describe names the events of the source's patterns.
func (s *source) Describe() plugin.Description {
	d := plugin.Description{Events: vocabulary(s.patterns), Log: slices.ContainsFunc(s.patterns, hasHeader), Path: s.path, Corroborate: s.corroborate, Explain: s.Explain}
	if s.doubts() {
		d.Events.Add(plugin.EventSpec{Name: event.LogForgery, Fields: []string{"ip", "level", "file", "message"}, Raw: []string{event.ClaimedEvent, event.ClaimedIP}})
	}
	return d
}

// Builtin lists the events of the built-in patterns.
func Builtin() plugin.Vocabulary { return vocabulary(catalogue()) }

func vocabulary(patterns pattern.Set) (v plugin.Vocabulary) {
	for i := range patterns {
		fields, raw := patterns[i].Fields()
		v.Add(plugin.EventSpec{Name: patterns[i].Event, Fields: append(fields, "level", "file", "message"), Raw: raw})
	}
	return v
}
