package logfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/logtest"
	"freeswitch-security/sources/logfile/record"
)

// A wrapping writes plain lines as a carrier does.
type wrapping struct {
	name     string
	compared bool
	// wrap wraps one line without its line break, or a message of several lines.
	wrap     func(text string, at time.Time) string
	messages bool // whole messages are wrapped
	escaped  bool // line breaks that attackers write divide no line
}

func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

func dockerRecord(text string, at time.Time) string {
	return encoded(map[string]string{"log": text, "stream": "stdout", "time": at.Format(time.RFC3339Nano)})
}

const iso = "2006-01-02T15:04:05.000000Z07:00"

var wrappings = []wrapping{
	{name: "docker", compared: true, wrap: func(text string, at time.Time) string {
		return dockerRecord(text+"\n", at)
	}},
	{name: "docker with colours", compared: true, wrap: func(text string, at time.Time) string {
		if text != "" {
			text = "\x1b[m\x1b[35m" + text
		}
		return dockerRecord(text+"\n", at)
	}},
	{name: "cri", compared: true, wrap: func(text string, at time.Time) string {
		var b strings.Builder
		for ; len(text) > 100; text = text[100:] {
			b.WriteString(at.Format(iso) + " stdout P " + text[:100] + "\n")
		}
		return b.String() + at.Format(iso) + " stdout F " + text + "\n"
	}},
	{name: "docker logs -t", compared: true, wrap: func(text string, at time.Time) string { return at.Format(iso) + " " + text + "\n" }},
	{name: "colours", compared: true, wrap: func(text string, _ time.Time) string {
		if text != "" {
			text = "\x1b[33m" + text + "\x1b[0m"
		}
		return text + "\n"
	}},
	{name: "journal", compared: true, wrap: func(text string, at time.Time) string {
		return encoded(map[string]any{"MESSAGE": text, "__REALTIME_TIMESTAMP": fmt.Sprint(at.UnixMicro()), "SYSLOG_IDENTIFIER": "freeswitch"})
	}},
	{name: "journal, bytes", compared: true, messages: true, wrap: func(text string, at time.Time) string {
		numbers := []int{}
		for _, b := range []byte(text) {
			numbers = append(numbers, int(b))
		}
		return encoded(map[string]any{"MESSAGE": numbers, "__REALTIME_TIMESTAMP": fmt.Sprint(at.UnixMicro()), "SYSLOG_IDENTIFIER": "freeswitch"})
	}},
	{name: "compose", wrap: func(text string, _ time.Time) string { return "fs-1  | " + text + "\n" }},
	{name: "syslog driver of docker", wrap: func(text string, at time.Time) string {
		return at.Format(time.Stamp) + " pbx docker/fs[1]: " + text + "\n" + at.Format(time.Stamp) + " pbx sshd[1]: Accepted publickey\n"
	}},
	{name: "rsyslog", messages: true, escaped: true, wrap: func(text string, at time.Time) string {
		return at.In(time.FixedZone("", 7200)).Format(iso) + " pbx freeswitch[1]: " + strings.ReplaceAll(text, "\n", "#012") + "\n"
	}},
	{name: "journalctl", messages: true, wrap: func(text string, at time.Time) string {
		prefix := at.Format(time.Stamp) + " pbx freeswitch[1]: "
		return prefix + strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", len(prefix))) + "\n"
	}},
	{name: "rfc 5424", messages: true, escaped: true, wrap: func(text string, at time.Time) string {
		return "<28>1 " + at.Format(iso) + ` pbx freeswitch 1 - [x@1 a="\]"] ` + "\ufeff" + strings.ReplaceAll(text, "\n", "#012") + "\n"
	}},
}

// carry writes a plain log as the carrier does. Messages end where records begin.
func (w *wrapping) carry(log []byte) []byte {
	var b bytes.Buffer
	clock := record.Clock{Zone: time.UTC}
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	var message []string
	flush := func() {
		if len(message) > 0 {
			b.WriteString(w.wrap(strings.Join(message, "\n"), at))
		}
		message = message[:0]
	}
	for line := range strings.Lines(string(log)) {
		line = strings.TrimSuffix(line, "\n")
		if !w.messages || record.Begins(line) {
			flush()
		}
		if h, ok := record.ParseHeader(line); ok {
			at = clock.Time(h.Stamp)
		}
		message = append(message, line)
	}
	flush()
	return b.Bytes()
}

// withoutText clears what depends on the carrier.
func withoutText(events []event.Event) []event.Event {
	for i := range events {
		events[i].Text, events[i].Time = "", events[i].Time.UTC()
	}
	return events
}

// carriedRecordings calls f with the recordings and what must be read in them.
func carriedRecordings(t *testing.T, f func(t *testing.T, w *wrapping, s *source, log []byte, want []event.Event)) {
	for _, path := range recordings(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.ToValidUTF8(data, []byte("?"))
		for i := range wrappings {
			w := &wrappings[i]
			s := builtinSource()
			if !w.compared {
				s.piece = 0
			}
			if w.escaped && strings.Contains(path, "forged") {
				continue // its line breaks are mod_logfile's; syslog's messages are whole
			}
			want := s.collect(bytes.NewReader(data), time.Time{}, nil, defaultSizes())
			if want.err != nil || len(want.events) == 0 && !strings.Contains(path, "forged") {
				t.Fatal(path, want.err)
			}
			t.Run(filepath.Base(path)+" "+w.name, func(t *testing.T) { f(t, w, s, data, withoutText(want.events)) })
		}
	}
}

// comparable leaves out what only this carrier can prove: line breaks of attackers
// hide nothing in it.
func (w *wrapping) comparable(events []event.Event) []event.Event {
	if !w.escaped {
		return events
	}
	return slices.DeleteFunc(events, func(e event.Event) bool {
		return e.Name == event.UnknownUser && strings.Contains(e.User, "#012")
	})
}

func diffEvents(t *testing.T, got, want []event.Event) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%d events, not %d; missing %s", len(got), len(want), describe(&want[i]))
		case i >= len(want):
			t.Fatalf("%d events, not %d; too many %s", len(got), len(want), describe(&got[i]))
		case got[i].Repeat && !want[i].Repeat && got[i].Name == event.AuthFailure: // an attempt that the carrier alone proves
		case !reflect.DeepEqual(got[i], want[i]):
			t.Fatalf("event %d:\n%s\n%s", i, describe(&got[i]), describe(&want[i]))
		}
	}
}

// TestCarried checks that a recording in a carrier is read as the recording itself.
func TestCarried(t *testing.T) {
	carriedRecordings(t, func(t *testing.T, w *wrapping, s *source, log []byte, want []event.Event) {
		got := builtinSource().collect(bytes.NewReader(w.carry(log)), time.Time{}, nil, defaultSizes())
		if got.err != nil {
			t.Fatal(got.err)
		}
		diffEvents(t, w.comparable(withoutText(got.events)), want)
	})
}

// TestFollowCarried checks that a carried log gives the same events when it is
// followed in any chunks, and when it is replayed.
func TestFollowCarried(t *testing.T) {
	const seed = 5
	random := rand.New(rand.NewPCG(seed, 0))
	events := 0
	carriedRecordings(t, func(t *testing.T, w *wrapping, s *source, log []byte, _ []event.Event) {
		all := bytes.SplitAfter(log, []byte("\n"))
		from := random.IntN(len(all))
		data := string(w.carry(bytes.TrimSuffix(bytes.Join(all[from:min(len(all), from+200)], nil), []byte("\n"))))
		l := newLogger(t)
		l.Open()
		f, _, sink := deafConsumer(t, l, "")
		for rest := data; rest != ""; {
			n := min(len(rest), 1+random.IntN(3000))
			l.Write(rest[:n])
			rest = rest[n:]
			f.Step(t.Context())
		}
		l.rotate()
		f.Step(t.Context()) // which reads the rotated file
		f.Step(t.Context())
		want := builtinSource().collect(strings.NewReader(data), time.Now(), nil, defaultSizes())
		var got []event.Event
		for _, e := range sink.events {
			got = append(got, *e)
			got[len(got)-1].Live = false
		}
		diffEvents(t, got, want.events)
		events += len(got)
		if at := sink.status(); int64(at.Doubted) != want.stats.Doubted || int64(at.Lines) != want.stats.Lines {
			t.Fatalf("%d doubted, %d lines, want %d, %d", at.Doubted, at.Lines, want.stats.Doubted, want.stats.Lines)
		}
	})
	if events < 1500 {
		t.Errorf("only %d events", events)
	}
}

// TestFollowParts checks that a line that a carrier divides is one line, however slowly
// its parts come, and that it is given up after a while.
func TestFollowParts(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, c, sink := deafConsumer(t, l, "")
	parts := func(flags string) {
		for i, flag := range flags {
			n := len(failureLine) / 4
			text := strings.TrimSuffix(failureLine, "\n")[i*n:]
			if flag == 'P' {
				text = text[:n]
			}
			l.Write(fmt.Sprintf("2026-05-04T10:11:12Z stdout %c %s\n", flag, text))
			f.Step(t.Context())
		}
	}
	parts("PPPF")
	l.Write("2026-05-04T10:11:12Z stdout F " + noiseLine)
	f.Step(t.Context())
	if len(sink.events) != 1 || sink.events[0].User != "1000" {
		t.Fatalf("%d events", len(sink.events))
	}
	for range 2 { // a line that is never finished, and a line of the other stream
		l.Write("2026-05-04T10:11:13Z stdout P " + noiseLine + "2026-05-04T10:11:13Z stderr F " + failureLine)
		f.Step(t.Context())
	}
	l.Write("2026-05-04T10:11:13Z stdout F \n" + "2026-05-04T10:11:13Z stdout P " + failureLine + failureLine)
	f.Step(t.Context()) // what interrupted the line is held back
	l.Write("2026-05-04T10:11:13Z stdout F " + noiseLine)
	f.Step(t.Context())
	if n := len(sink.events); n != 5 {
		t.Fatalf("%d events", n)
	}
	lines := sink.status().Lines
	c.patience.line = time.Millisecond
	parts("PP")
	logtest.Poll(t, "line that is given up", func() bool {
		f.Step(t.Context())
		return sink.status().Lines == lines+1
	})
}

// TestCarriedForgery checks that the carrier's time does not make a forged stamp right.
func TestCarriedForgery(t *testing.T) {
	for _, off := range []time.Duration{-2 * time.Hour, -15 * time.Minute, 15 * time.Minute, 5 * time.Minute, time.Second} {
		s := newStage()
		s.goesOn(session2, 40)
		s.opens(session, caller, "x\n"+s.failure(s.now.Add(off), victim))
		s.goesOn(session, 40)
		if off < 0 { // what comes before is stamped later
			s.goesOn(session2, 40)
		}
		var log strings.Builder
		for line := range strings.Lines(s.String()) {
			log.WriteString(dockerRecord(line, s.now.Add(-2*time.Hour+3*time.Millisecond))) // FreeSWITCH is 2 h ahead of UTC
		}
		got := builtinSource().collect(strings.NewReader(log.String()), time.Time{}, nil, defaultSizes())
		forged := 0
		for _, e := range got.events {
			if e.Name == event.LogForgery && e.Fields[event.ClaimedIP] == victim {
				forged++
			} else if e.IP.String() == victim {
				t.Errorf("%v: %s", off, describe(&e))
			}
		}
		if forged != 1 {
			t.Errorf("%v: %d forgeries", off, forged)
		}
	}
}
