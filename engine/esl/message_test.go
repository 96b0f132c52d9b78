package esl

import (
	"bytes"
	"errors"
	"fmt"
	"freeswitch-security/engine/golden"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// recording returns a file of testdata, decompressed.
func recording(t testing.TB, name string) []byte {
	t.Helper()
	return golden.Read(t, filepath.Join("testdata", name))
}

// read returns all messages of a stream, and the number of skipped frames.
func read(t testing.TB, stream []byte) (messages []Message, skipped int64) {
	t.Helper()
	messages, skipped, err := readAll(bytes.NewReader(stream))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for i := range messages {
		if m := &messages[i]; m.Size <= len(m.Body) || m.Size > len(stream) {
			t.Errorf("a message of %d bytes", m.Size)
		}
	}
	return messages, skipped
}

func readAll(stream io.Reader) (messages []Message, skipped int64, err error) {
	r := NewReader(stream)
	for {
		m, err := r.Next()
		if err != nil {
			return messages, r.Skipped(), err
		}
		messages = append(messages, m)
	}
}

// sameSize compares messages of any size: the formats differ.
var sameSize = cmpopts.IgnoreFields(Message{}, "Size")

// TestFormatsAgree reads the same events from two connections, one in each format.
func TestFormatsAgree(t *testing.T) {
	for _, test := range []struct {
		name   string
		events int
	}{{"nat", 70}, {"mixed", 54}} {
		json, skippedJSON := read(t, recording(t, test.name+"-json.raw.gz"))
		plain, skippedPlain := read(t, recording(t, test.name+"-plain.raw.gz"))
		if len(json) < test.events || len(json) != len(plain) || skippedJSON+skippedPlain != 0 {
			t.Fatalf("%s: %d and %d events, %d and %d skipped", test.name, len(json), len(plain), skippedJSON, skippedPlain)
		}
		for i := range json {
			for name, value := range json[i].Headers {
				// In a plain value, a %XX of the caller looks like one of FreeSWITCH.
				if strings.Contains(value, "%") {
					delete(json[i].Headers, name)
					delete(plain[i].Headers, name)
				}
			}
			if diff := cmp.Diff(json[i], plain[i], sameSize); diff != "" {
				t.Errorf("%s: event %d differs, - JSON, + plain:\n%s", test.name, i, diff)
			}
		}
	}
}

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		stream string
		want   Message
	}{
		{eventJSON(`{"Event-Name":"X","a":"1","a":"2","list":["x",{"b":"}]"}],"n":5,"t":true,"_body":"text"}`),
			Message{Headers: map[string]string{"Event-Name": "X", "a": "2"}, Body: "text"}},
		{eventJSON("\t{ \"\\u0041\" : \"\\ud83d\\ude00\\ud800 \xff\xfe\\n\" , \"\\u0000reply\":\"x\", \"\": \"x\" }\r\n"),
			Message{Headers: map[string]string{"A": "😀\ufffd \ufffd\ufffd\n"}}},
		{eventJSON(`{"list":["x"],"_body":""}`), Message{Headers: map[string]string{}}},
		{eventPlain("Event-Name: X\na: x%20y%0A%zz%4\ne: _undef_\nl: ARRAY::a|:b\nno colon\nContent-Length: 5\n\nhello\n\nmore"),
			Message{Headers: map[string]string{"Event-Name": "X", "a": "x y\n%zz%4", "e": "", "Content-Length": "5"}, Body: "hello"}},
		{eventPlain("a: %ff\nContent-Length: 99\n\nhello"), Message{Headers: map[string]string{"a": "\ufffd", "Content-Length": "99"}, Body: "hello"}},
		{eventPlain("a: 1\nContent-Length: -99\n\nhello"), Message{Headers: map[string]string{"a": "1", "Content-Length": "-99"}}},
		{"Content-Type: log/data\nContent-Length: 8\nLog-Level: 4\nLog-File: a.c\nUser-Data: \n\none\ntwo\n",
			Message{Headers: map[string]string{"Log-Level": "4", "Log-File": "a.c", "User-Data": ""}, Body: "one\ntwo", Record: true}},
		{"\r\n\nContent-Type: text/event-json\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}", Message{Headers: map[string]string{"a": "b"}}},
	} {
		messages, skipped := read(t, []byte(test.stream))
		if diff := cmp.Diff([]Message{test.want}, messages, sameSize); diff != "" || skipped != 0 {
			t.Errorf("%q, %d skipped, - want, + got:\n%s", test.stream, skipped, diff)
		}
	}
}

func eventJSON(body string) string {
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-json\n\n%s", len(body), body)
}

func eventPlain(body string) string {
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-plain\n\n%s", len(body), body)
}

// TestUnreadable skips and counts frames that cannot be decoded.
func TestUnreadable(t *testing.T) {
	good := eventJSON(`{"Event-Name":"X"}`)
	for _, frame := range []string{
		eventJSON(""), eventJSON("null"), eventJSON(`["a"]`), eventJSON(`{"a":"b"`), eventJSON(`{"a":"b"} x`), eventJSON(`{"a":b}`),
		eventJSON(`{"a":"b",}`), eventJSON(`{"a":"\x"}`), eventJSON("{\"a\":\"\n\"}"), eventJSON(`{"a":["b"}`), eventJSON(`{"a" "b"}`), eventJSON(`{a:"b"}`),
		"Content-Type: text/event-xml\nContent-Length: 3\n\n<a>", "Content-Type: something/new\n\n", "Job-UUID: x\nContent-Length: 2\n\n\n\n",
	} {
		messages, skipped := read(t, []byte(good+frame+good))
		if len(messages) != 2 || skipped != 1 {
			t.Errorf("%q: %d events, %d skipped", frame, len(messages), skipped)
		}
	}
}

func TestHandshakes(t *testing.T) {
	want := map[string]string{ // messages by name, then skipped frames
		"bgapi.raw":                     "BACKGROUND_JOB 1",
		"event_xml.raw":                 "skipped 1",
		"json_events_and_log4.raw":      "log 8 sofia::pre_register 2 sofia::register_attempt 2 sofia::register_failure 2 CHANNEL_CREATE 2",
		"sendevent.raw":                 "lab::x 1",
		"two_commands_in_one_write.raw": "API 1",
		"slow_reader_killed.raw.gz":     "lab::pump 1042",
	}
	files, err := filepath.Glob("testdata/handshakes/*")
	if err != nil || len(files) < 28 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		messages, skipped := read(t, recording(t, "handshakes/"+name))
		if got := summary(messages, skipped); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
	}
}

// TestCuts cuts recordings off at any byte: the frames before the cut are read, and
// the end is an ordinary one.
func TestCuts(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	for _, name := range []string{"nat-json.raw.gz", "nat-plain.raw.gz", "nat-log.raw.gz", "handshakes/json_events_and_log4.raw"} {
		stream := recording(t, name)
		whole, _ := read(t, stream)
		for range 50 {
			cut := random.IntN(len(stream))
			messages, _, err := readAll(iotest.DataErrReader(bytes.NewReader(stream[:cut])))
			same := func(got, want Message) bool { return got.Body == want.Body && maps.Equal(got.Headers, want.Headers) }
			if !errors.Is(err, io.EOF) || len(messages) > len(whole) || !slices.EqualFunc(messages, whole[:len(messages)], same) {
				t.Fatalf("seed %d: %s cut at %d: %d messages, %v", seed, name, cut, len(messages), err)
			}
		}
		messages, _, _ := readAll(iotest.OneByteReader(bytes.NewReader(stream)))
		if !cmp.Equal(messages, whole) {
			t.Errorf("%s differs byte by byte", name)
		}
	}
}

// TestCutByNotice cuts an event off at every byte with the notice to a slow listener.
func TestCutByNotice(t *testing.T) {
	const text = "killed listener because of lost events"
	notice := "Content-Type: text/disconnect-notice\nContent-Length: 39\n\n" + text + "\n"
	event := eventJSON(`{"Event-Name":"X","long":"` + strings.Repeat("x", 150) + `"}`)
	for cut := range len(event) + 1 {
		stream := event + event[:cut] + notice
		r := NewReader(strings.NewReader(stream))
		messages := 0
		for {
			_, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("cut at %d: %v", cut, err)
				}
				break
			}
			messages++
		}
		if got := r.frames.quote(r.frames.notice()); got != text || messages > 2 {
			t.Errorf("cut at %d: %d messages, notice %q", cut, messages, got)
		}
	}
}

func TestNoStream(t *testing.T) {
	for _, stream := range []string{
		"SSH-2.0-OpenSSH_9.6\r\n",
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"2026-11-22 21:45:26.753493 90.73% [WARNING] sofia_reg.c:3210 Can't find user [4711@10.77.0.10] from 203.0.113.5\n",
		"Content-Type: text/event-json\nContent-Length: -1\n\n",
		"Content-Type: text/event-json\nContent-Length: 16777217\n\n",
		"Content-Type: x/y\nContent-Length: 99999999999999999999\n\n",
		"Content-Type: text/event-json\nContent-Length: x\n\n",
		"X: " + strings.Repeat("x", maxHead) + "\n\n",
		strings.Repeat("X: y\n", maxHead/4),
		strings.Repeat("\n", maxHead+1),
	} {
		if _, _, err := readAll(strings.NewReader(stream)); !errors.Is(err, ErrProtocol) || len(err.Error()) > 400 {
			t.Errorf("%.60q: %v", stream, err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := readAll(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("the error of the reader is %v", err)
	}
}

// TestClaimedLength reads a frame that claims the longest length, and ends at once.
func TestClaimedLength(t *testing.T) {
	const stream = "Content-Type: text/event-json\nContent-Length: 16777216\n\n{"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, _ = readAll(strings.NewReader(stream))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
}

// summary counts messages by name.
func summary(messages []Message, skipped int64) string {
	var names []string
	count := map[string]int{}
	for i := range messages {
		name := messages[i].Name()
		if messages[i].Record {
			name = "log"
		}
		if count[name] == 0 {
			names = append(names, name)
		}
		count[name]++
	}
	var words []string
	for _, name := range names {
		words = append(words, fmt.Sprint(name, " ", count[name]))
	}
	if skipped > 0 {
		words = append(words, fmt.Sprint("skipped ", skipped))
	}
	return strings.Join(words, " ")
}

func TestLost(t *testing.T) {
	const head = "2026-11-22 22:39:16.565082 56.67% [CRIT] mod_event_socket.c:392 "
	for _, test := range []struct {
		file, text string
		want       uint64
	}{
		{"mod_event_socket.c", head + "Lost [7] events! Event Queue size: [1/100000]", 7},
		{"mod_event_socket.c", head + "Lost [3] log lines! Log Queue size: [1/100000]", 3},
		{"mod_event_socket.c", head + "Killing listener because of too many lost events. Lost [501] Queue size[100000/100000]", 501},
		{"mod_event_socket.c", head + "Killing listener because of too many lost log lines. Lost [501] Queue size [100000/100000]!", 501},
		{"mod_event_socket.c", head + "Event enqueue ERROR [11] | [Resource temporarily unavailable] | Queue size: [100000/100000] Max queue size reached", 0},
		{"mod_event_socket.c", head + "IP Lost [7] Rejected by acl", 0},
		{"mod_event_socket.c", head + "Lost [-7] events!", 0},
		{"mod_event_socket.c", head + "Lost [99999999999999999999] events!", 0},
		{"mod_event_socket.c", "", 0},
		{"sofia.c", head + "Lost [7] events! Event Queue size: [1/100000]", 0},
	} {
		m := Message{Record: true, Headers: map[string]string{"Log-File": test.file}, Body: test.text}
		if got := Lost(m); got != test.want {
			t.Errorf("%s: %d, want %d", test.text, got, test.want)
		}
		m.Record = false
		if Lost(m) != 0 {
			t.Errorf("an event counts as a loss")
		}
	}
}
