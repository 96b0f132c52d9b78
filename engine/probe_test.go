package engine

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// A dialect is a source that reads lines which begin with a word, and refuses all
// others.
type dialect struct {
	listener
	word string
}

func (d *dialect) Describe() plugin.Description {
	return plugin.Description{Explain: func(line string) string { return d.word + " reads " + line }}
}

func (d *dialect) Replay(_ context.Context, rec plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	line, _ := bufio.NewReader(rec.R).ReadString('\n')
	if !strings.HasPrefix(line, d.word) {
		return plugin.Stats{}, errors.New("this is no " + d.word)
	}
	return plugin.Stats{Recognised: true}, emit(&event.Event{Name: "auth_failure"})
}

// Without a named source, the source that recognises a line reads it, wherever it is
// declared. A line that the named source cannot read is the caller's mistake.
func TestLineIsReadBySourceThatRecognisesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []config.Source
		for _, word := range []string{"frame", "line"} {
			sources = append(sources, describedSource("x."+word, &dialect{listener{asked: make(chan map[string]bool, 10)}, word}))
		}
		g := runQuietly(t, guessing(t, sources...))
		for _, c := range []struct{ source, line, by, explain string }{
			{"", "line 1", "x.line", "line reads line 1"},
			{"", "frame 1", "x.frame", "frame reads frame 1"},
			{"x.line", "line 1", "x.line", "line reads line 1"},
			{"", "neither", "", "frame reads neither"},
		} {
			found, err := g.Probe(t.Context(), Probe{Source: c.source, Line: c.line})
			by := ""
			for _, e := range found.Events {
				by += e.Source
			}
			if err != nil || by != c.by || found.Explain != c.explain {
				t.Errorf("%q: %+v, %v", c.line, found, err)
			}
		}
		_, err := g.Probe(t.Context(), Probe{Source: "x.frame", Line: "line 1"})
		var m Mistake
		if !errors.As(err, &m) {
			t.Errorf("a line for another: %v", err)
		}
	})
}

func describedSource(ref string, s plugin.Source) config.Source {
	return config.Source{Ref: ref, Source: s, Description: s.Describe()}
}
