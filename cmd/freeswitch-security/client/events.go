package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

const (
	// silence is the time without a byte after which the stream counts as lost. The
	// daemon sends a comment every 15 seconds.
	silence = 45 * time.Second

	// maxEvent bounds a line of the stream, in bytes.
	maxEvent = 4 << 20
)

// An Event is one message of the stream of changes: either of the two is set.
type Event struct {
	Change *ban.Change
	Lost   int // so many changes were not sent: the reader was too slow
}

// Watch passes on changes as they happen, until ctx ends, the stream does, or
// tell fails. began is called once the stream is open.
func (c *Client) Watch(ctx context.Context, standing bool, began func(), tell func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := unreachable("%s has said nothing for %s", c.name, silence)
	alarm := time.AfterFunc(silence, func() { cancel(quiet) })
	defer alarm.Stop()
	path := "/events"
	if standing {
		path += "?standing=true"
	}
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err == nil {
		defer resp.Body.Close()
		err = c.follow(resp, began, func() { alarm.Reset(silence) }, tell)
	}
	if errors.Is(context.Cause(ctx), quiet) {
		return quiet
	}
	return err
}

// follow reads the stream of an answer to its end, which is an error, too.
func (c *Client) follow(resp *http.Response, began, alive func(), tell func(Event) error) error {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		var none any
		err := c.read(resp, &none)
		if err == nil {
			err = fmt.Errorf("it answers %s, which is no stream of events", kind)
		}
		return c.explain(resp.Request.Context(), err)
	}
	began()
	err := readEvents(resp.Body, alive, tell)
	if errors.Is(err, io.EOF) {
		return unreachable("%s ended the stream: the daemon is stopping, or reads of it were too slow", c.name)
	}
	return c.explain(resp.Request.Context(), err)
}

// readEvents reads server-sent events until the reader or tell fails; io.EOF is
// the end. alive is called for each line, comments among them. Unknown
// events are skipped, as the format demands.
func readEvents(r io.Reader, alive func(), tell func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	var name string
	var data []string
	size := 0
	for lines.Scan() {
		alive()
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if err := dispatch(name, strings.Join(data, "\n"), tell); err != nil {
				return err
			}
			name, data, size = "", nil, 0
		case field == "event":
			name = value
		case field == "data":
			if size += len(value); size > maxEvent {
				return bufio.ErrTooLong
			}
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF // an incomplete event is dropped
}

// dispatch decodes one event and passes it to tell.
func dispatch(name, data string, tell func(Event) error) error {
	if name == "lost" {
		var said struct {
			Lost int `json:"lost"`
		}
		if err := json.Unmarshal([]byte(data), &said); err != nil {
			return fmt.Errorf("an event cannot be read: %w", err)
		}
		return tell(Event{Lost: said.Lost})
	}
	if !slices.Contains(ban.Kinds, ban.Kind(name)) {
		return nil
	}
	change := new(ban.Change)
	if err := json.Unmarshal([]byte(data), change); err != nil {
		return fmt.Errorf("an event cannot be read: %w", err)
	}
	return tell(Event{Change: change})
}
