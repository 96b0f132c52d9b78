package esltest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A frame is one event or log record of a recording.
type frame struct {
	raw      string // with its head
	kind     string // content type
	event    string
	subclass string
	level    int   // of a log record
	stamp    int64 // of an event, in µs since 1970; 0 if it has none
}

// Play sends every connection that stands what it has subscribed to of a recorded
// stream, in its format. pace is how fast: 1 as it was recorded, 10 ten times as
// fast, 0 as fast as it is read. It ends with the recording, with ctx, or with
// Close.
func (s *Switch) Play(ctx context.Context, recording io.Reader, pace float64) error {
	frames := bufio.NewReaderSize(recording, 64<<10)
	conns := s.standing()
	last := int64(0)
	for {
		f, err := readFrame(frames)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if pace > 0 && f.stamp > 0 {
			if last > 0 && f.stamp > last {
				s.wait(ctx, time.Duration(float64(f.stamp-last)/pace)*time.Microsecond)
			}
			last = f.stamp
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return net.ErrClosed
		default:
		}
		for _, c := range conns {
			if c.wants(&f) {
				c.send(f.raw)
			}
		}
	}
}

func (s *Switch) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.done:
	}
}

// readFrame reads a frame of a recording, which is trusted to be one.
func readFrame(r *bufio.Reader) (frame, error) {
	var head strings.Builder
	fields := map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return frame{}, err
		}
		head.WriteString(line)
		if line == "\n" {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		fields[name] = value
	}
	length, _ := strconv.Atoi(fields["Content-Length"])
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, err
	}
	f := frame{raw: head.String() + string(body), kind: fields["Content-Type"]}
	f.level, _ = strconv.Atoi(fields["Log-Level"])
	f.describe(body)
	return f, nil
}

// describe sets what is asked of an event.
func (f *frame) describe(body []byte) {
	headers := map[string]any{}
	switch f.kind {
	case "text/event-json":
		_ = json.Unmarshal(body, &headers) // without a name, only ALL has it
	case "text/event-plain":
		for line := range bytes.Lines(body) {
			name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
			if plain, err := url.PathUnescape(value); err == nil && headers[name] == nil {
				headers[name] = plain
			}
		}
	}
	f.event, _ = headers["Event-Name"].(string)
	f.subclass, _ = headers["Event-Subclass"].(string)
	stamp, _ := headers["Event-Date-Timestamp"].(string)
	f.stamp, _ = strconv.ParseInt(stamp, 10, 64)
}

// Event sends an event to whoever has subscribed to it. name is FreeSWITCH's, or
// the subclass of a CUSTOM one: "sofia::register_failure". What headers lack of
// those that every event has is added; the time is now.
func (s *Switch) Event(name string, headers map[string]string, body string) {
	s.mu.Lock()
	s.sequence++
	all := map[string]string{
		"Event-Name":           name,
		"Core-UUID":            "4f3bad21-c853-4501-98a9-efbd05dd047b",
		"FreeSWITCH-Hostname":  "pbx1",
		"Event-Date-Timestamp": strconv.FormatInt(time.Now().UnixMicro(), 10),
		"Event-Sequence":       strconv.Itoa(s.sequence),
	}
	s.mu.Unlock()
	if !slices.Contains(eventNames, name) {
		all["Event-Name"], all["Event-Subclass"] = "CUSTOM", name
	}
	maps.Copy(all, headers)
	for _, f := range []frame{jsonEvent(all, body), plainEvent(all, body)} {
		f.event, f.subclass = all["Event-Name"], all["Event-Subclass"]
		s.deliver(&f)
	}
}

func jsonEvent(headers map[string]string, body string) frame {
	all := maps.Clone(headers)
	if body != "" {
		all["Content-Length"], all["_body"] = strconv.Itoa(len(body)), body
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings can always be written
	}
	return eventFrame("text/event-json", string(text))
}

func plainEvent(headers map[string]string, body string) frame {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := url.PathEscape(headers[name])
		if value == "" {
			value = "_undef_"
		}
		fmt.Fprintf(&text, "%s: %s\n", name, value)
	}
	if body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\n", len(body))
	}
	text.WriteString("\n" + body)
	return eventFrame("text/event-plain", text.String())
}

func eventFrame(kind, body string) frame {
	return frame{kind: kind, raw: fmt.Sprintf("Content-Length: %d\nContent-Type: %s\n\n%s", len(body), kind, body)}
}

// Log sends a log record, whose text is whole lines, to whoever wants that level.
func (s *Switch) Log(level int, file, text string) {
	s.deliver(&frame{kind: "log/data", level: level, raw: fmt.Sprintf(
		"Content-Type: log/data\nContent-Length: %d\nLog-Level: %d\nText-Channel: 0\nLog-File: %s\nLog-Func: f\nLog-Line: 1\nUser-Data: \n\n%s",
		len(text), level, file, text)})
}

func (s *Switch) deliver(f *frame) {
	for _, c := range s.standing() {
		if c.wants(f) {
			c.send(f.raw)
		}
	}
}
