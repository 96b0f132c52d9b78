package esl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Records makes a reader of FreeSWITCH's log records for the named source. The zone is
// that of their stamps. The reader turns one message, all its lines, into an event; nil
// if it is none. A doubted event is no evidence. It is called by one goroutine.
type Records func(source string, zone *time.Location) func(message string) (e *event.Event, doubted bool)

// Kind makes sources of event sockets. They read log records with records, so that those
// become the same events as in the log file, which events lists.
func Kind(events func() plugin.Vocabulary, records Records) plugin.SourceKind {
	return plugin.SourceKind{Name: "esl", New: func(b *settings.Block, env plugin.SourceEnv) plugin.Source {
		s := read(b, env)
		s.inLog, s.records = inLogAlone(events()), records
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
	capture bool           // the switch is told to mirror its SIP packets
}

// Record implements [plugin.Recorder]: it writes every report of which the source makes events.
func (s *source) Record(ctx context.Context, up func(), w io.Writer) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	sub := s.subscription(nil)
	sub.Raw = func(report []byte) {
		if _, err := w.Write(report); err != nil {
			end(err)
		}
	}
	err := s.at.Listen(ctx, sub, up, func(esl.Message) {})
	return cmp.Or(context.Cause(ctx), err)
}

// Defaults of FreeSWITCH's event socket, and of the queue.
const (
	defaultAddress  = "127.0.0.1:8021"
	defaultPort     = "8021"
	defaultPassword = "ClueCon"
	defaultQueue    = 20_000 // events
)

// Bounds of the queue, in events: one attacker sends a burst of the shortest, and events
// that wait behind a million others come too late.
const (
	minQueue = 100
	maxQueue = 1_000_000
)

// read reads a source block.
func read(b *settings.Block, env plugin.SourceEnv) *source {
	s := &source{name: env.Name, log: true, zone: time.Local, queue: defaultQueue}
	s.at.Address, s.at.Password = defaultAddress, defaultPassword
	if t, ok := b.Text("address"); ok {
		settings.Parse(b, t, &s.at.Address, withPort, "Invalid address", "the address of an event socket")
	}
	if b.String("password", &s.at.Password) && (s.at.Password == "" || strings.ContainsFunc(s.at.Password, unicode.IsControl)) {
		b.Error("password", "Invalid password", "The password of the event socket is one line of text. It stands in FreeSWITCH's event_socket.conf.xml; leave the attribute out for "+defaultPassword+".")
	}
	b.Bool("log", &s.log)
	b.Zone("timezone", &s.zone)
	b.Int("queue", &s.queue, minQueue, maxQueue)
	b.Bool("capture", &s.capture)
	return s
}

// withPort adds the default port to an address, and refuses what cannot be dialled.
func withPort(given string) (string, error) {
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		host, port = given, defaultPort
		if inner, ok := strings.CutPrefix(given, "["); ok && strings.HasSuffix(inner, "]") {
			host = inner[:len(inner)-1]
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	isHost := host != "" && !strings.ContainsAny(host, " \t\r\n/[]@\"'") && (net.ParseIP(host) != nil || !strings.Contains(host, ":"))
	if err != nil || number == 0 || !isHost {
		return "", fmt.Errorf("%q is not the address of an event socket: write \"host:port\", \"[2001:db8::1]:8021\", or the host alone for port %s", given, defaultPort)
	}
	return net.JoinHostPort(host, port), nil
}

// Switch returns the FreeSWITCH of the source, for an action on the same one.
func (s *source) Switch() esl.Switch { return s.at }

// Captures reports whether the source switches the capture of the switch on.
func (s *source) Captures() bool { return s.capture }

// Describe lists the events of the table, and those of the log alone.
func (s *source) Describe() plugin.Description {
	merge := func(recordings []io.Reader) io.Reader { return esl.Merge(s.zone, recordings) }
	d := plugin.Description{Hears: true, Merge: merge}
	for i := range reports {
		d.Events.Add(reports[i].spec)
	}
	for _, e := range s.inLog {
		if s.log {
			d.Events.Add(e)
		}
	}
	return d
}

// Replay reads the recorded bytes of one connection: JSON events, plain events and log
// records, in any mix. Lines counts them; Skipped counts frames that cannot be decoded.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	var stats plugin.Stats
	frames, decoder := esl.NewReader(rec.R, headersOf(want)...), s.newDecoder(want)
	for {
		if err := ctx.Err(); err != nil {
			return stats, err
		}
		m, err := frames.Next()
		stats.Bytes, stats.Skipped = frames.Bytes(), frames.Skipped()
		if errors.Is(err, io.EOF) {
			return stats, nil
		}
		if err != nil {
			return stats, fmt.Errorf("read %s: %w", rec.Name, err)
		}
		stats.Lines++
		stats.Recognised = true
		events := decoder.read(&m)
		stats.Doubted = decoder.doubted
		for _, e := range events {
			if e == nil {
				continue
			}
			if err := emit(e); err != nil {
				return stats, err
			}
		}
	}
}
