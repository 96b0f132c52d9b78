package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// told gathers what a stream tells, as one word each.
func told(stream string) (words []string, err error) {
	err = readEvents(strings.NewReader(stream), func() {}, func(e Event) error {
		if e.Change != nil {
			words = append(words, string(e.Change.Kind)+" "+e.Change.Target.String())
		} else {
			words = append(words, fmt.Sprint("lost ", e.Lost))
		}
		return nil
	})
	return words, err
}

func TestReadEvents(t *testing.T) {
	const ban = "event: ban\nid: 1\ndata: {\"kind\":\"ban\",\"target\":\"203.0.113.7\"}\n\n"
	for _, c := range []struct{ name, stream, want string }{
		{"nothing", "", "[]"},
		{"one", ban, "[ban 203.0.113.7]"},
		{"line breaks of Windows", strings.ReplaceAll(ban, "\n", "\r\n"), "[ban 203.0.113.7]"},
		{"signs of life", ": hello\n\n" + ban + ":\n\n", "[ban 203.0.113.7]"},
		{"too slow", ban + "event: lost\ndata: {\"lost\": 3}\n\n", "[ban 203.0.113.7 lost 3]"},
		{"no blank behind the colon", "event:unban\ndata:{\"kind\":\"unban\"}\n\n", "[unban ]"},
		{"data in two lines", "event: alert\ndata: {\"kind\":\ndata: \"alert\"}\n\n", "[alert ]"},
		{"an event of another kind", "event: news\ndata: ?\n\n" + ban, "[ban 203.0.113.7]"},
		{"an event that breaks off", ban + strings.TrimSuffix(ban, "\n"), "[ban 203.0.113.7]"},
	} {
		got, err := told(c.stream)
		if fmt.Sprint(got) != c.want || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{
		"event: ban\ndata: {\n\n", "event: lost\ndata: x\n\n",
		"data: " + strings.Repeat("x", maxEvent) + "\n\n",
		strings.Repeat("data: "+strings.Repeat("x", maxEvent/2)+"\n", 3) + "\n",
	} {
		if _, err := told(bad); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.40q is read: %v", bad, err)
		}
	}
	stop := errors.New("enough")
	err := readEvents(strings.NewReader(ban+ban), func() {}, func(Event) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("went on after %v", err)
	}
}

// FuzzReadEvents reads any bytes to their end, and tells of nothing that has no
// kind.
func FuzzReadEvents(f *testing.F) {
	f.Add("event: ban\nid: 1\ndata: {\"kind\":\"ban\",\"target\":\"203.0.113.7\"}\n\n: ping\n\nevent: lost\ndata: {\"lost\":2}\n\n")
	f.Add("data\n:\nevent: ban\ndata: null\n\n\r\n")
	f.Fuzz(func(t *testing.T, stream string) {
		err := readEvents(strings.NewReader(stream), func() {}, func(e Event) error {
			if e.Change == nil && !strings.Contains(stream, "lost") {
				t.Errorf("an event that is none of %q", stream)
			}
			return nil
		})
		if err == nil {
			t.Error("a stream has no end")
		}
	})
}
