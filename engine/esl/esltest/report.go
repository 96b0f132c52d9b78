package esltest

import (
	"bufio"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed events.txt
var eventList string

// eventNames are the events of FreeSWITCH.
var eventNames = strings.Fields(eventList)

// A report is an event or a log record, as a frame.
type report struct {
	raw      string
	kind     string // content type
	event    string
	subclass string
	level    int // of a log record
}

// deliver sends a report to the connections that have subscribed to it.
func (s *Switch) deliver(r *report) {
	for _, c := range s.open() {
		if c.wants(r) {
			c.send(r.raw)
		}
	}
}

// coreUUID is the name of this start of the switch.
const coreUUID = "4f3bad21-c853-4501-98a9-efbd05dd047b"

// Event sends an event, with the name of FreeSWITCH's or the subclass of a CUSTOM one:
// "sofia::register_failure". It adds the headers that every event has; the time is now.
func (s *Switch) Event(name string, headers map[string]string, body string) {
	s.mu.Lock()
	s.sequence++
	all := map[string]string{
		"Event-Name":           name,
		"Core-UUID":            coreUUID,
		"FreeSWITCH-Hostname":  "pbx1",
		"Event-Date-Timestamp": strconv.FormatInt(time.Now().Add(-s.options.Behind).UnixMicro(), 10),
		"Event-Sequence":       strconv.Itoa(s.sequence),
	}
	s.mu.Unlock()
	if !slices.Contains(eventNames, name) {
		all["Event-Name"], all["Event-Subclass"] = "CUSTOM", name
	}
	maps.Copy(all, headers)
	for kind, text := range map[string]string{"text/event-json": eventJSON(all, body), "text/event-plain": eventPlain(all, body)} {
		s.deliver(&report{kind: kind, raw: eventFrame(kind, text), event: all["Event-Name"], subclass: all["Event-Subclass"]})
	}
}

func eventJSON(headers map[string]string, body string) string {
	if body != "" {
		headers = maps.Clone(headers)
		headers["Content-Length"], headers["_body"] = strconv.Itoa(len(body)), body
	}
	text, _ := json.Marshal(headers) // strings always encode
	return string(text)
}

func eventPlain(headers map[string]string, body string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(&text, "%s: %s\n", name, cmp.Or(url.PathEscape(headers[name]), "_undef_"))
	}
	if body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\n", len(body))
	}
	return text.String() + "\n" + body
}

func eventFrame(kind, body string) string {
	return fmt.Sprintf("Content-Length: %d\nContent-Type: %s\n\n%s", len(body), kind, body)
}

// Log sends a log record, if the log level does not hide it. Its text is whole lines.
func (s *Switch) Log(level int, file, text string) {
	if level >= len(levels)-int(s.hidden.Load()) {
		return
	}
	s.deliver(&report{kind: "log/data", level: level, raw: fmt.Sprintf(
		"Content-Type: log/data\nContent-Length: %d\nLog-Level: %d\nText-Channel: 0\nLog-File: %s\nLog-Func: f\nLog-Line: 1\nUser-Data: \n\n%s",
		len(text), level, file, text)})
}

// Play sends the reports of a recording, in the format of the recording.
func (s *Switch) Play(recording io.Reader) error {
	frames := bufio.NewReaderSize(recording, 64<<10)
	for {
		r, err := readReport(frames)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.deliver(&r)
	}
}

// readReport reads a frame of a recording, which must be valid.
func readReport(frames *bufio.Reader) (r report, err error) {
	for line := ""; line != "\n"; r.raw += line {
		if line, err = frames.ReadString('\n'); err != nil {
			return r, err
		}
	}
	r.kind = field(r.raw, "Content-Type")
	r.level, _ = strconv.Atoi(field(r.raw, "Log-Level"))
	length, _ := strconv.Atoi(field(r.raw, "Content-Length"))
	body := make([]byte, length)
	if _, err := io.ReadFull(frames, body); err != nil {
		return r, err
	}
	r.raw += string(body)
	switch r.kind {
	case "text/event-json":
		var headers map[string]any
		_ = json.Unmarshal(body, &headers) // an event without a name is only in ALL
		r.event, _ = headers["Event-Name"].(string)
		r.subclass, _ = headers["Event-Subclass"].(string)
	case "text/event-plain":
		r.event, r.subclass = field(string(body), "Event-Name"), field(string(body), "Event-Subclass")
	}
	return r, nil
}

// field returns the value of the first line "name: value", unescaped.
func field(lines, name string) string {
	_, rest, _ := strings.Cut("\n"+lines, "\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\n")
	value, _ = url.PathUnescape(value)
	return value
}
