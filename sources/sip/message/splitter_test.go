package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const piece1 = "OPTIONS sip:a@h SIP/2.0\r\nVia: x\r\nContent-Length: 24\r\n\r\nGET sip:a@h SIP/2.0\r\n\r\n\r\n"

// split cuts a stream after every n bytes, and returns the start lines of its messages.
func split(s *Splitter, stream string, n int) (heads []string) {
	for len(stream) > 0 {
		n = min(n, len(stream))
		s.Split([]byte(stream[:n]), func(head []byte) { heads = append(heads, string(head)) })
		stream = stream[n:]
	}
	return heads
}

func TestSplitter(t *testing.T) {
	options := strings.TrimSuffix(piece1, "GET sip:a@h SIP/2.0\r\n\r\n\r\n")
	ok := "SIP/2.0 200 OK\r\nl:0\r\n\r\n"
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"one":          {piece1, []string{options}},
		"two":          {piece1 + ok, []string{options, ok}},
		"keep-alive":   {"\r\n\r\n" + piece1 + "\r\n\r\n\x00" + ok, []string{options, ok}},
		"no length":    {"SIP/2.0 200 OK\r\n\r\n" + ok, []string{"SIP/2.0 200 OK\r\n\r\n", ok}},
		"LF":           {"SIP/2.0 200 OK\n\n" + ok, []string{"SIP/2.0 200 OK\n\n", ok}},
		"CR":           {"SIP/2.0 200 OK\rl:1\r\rx" + ok, []string{"SIP/2.0 200 OK\rl:1\r\r", ok}},
		"lost start":   {"esponse=\"4647\"\r\nVia: x\r\n\r\nv=0\r\no=- 1 1 IN IP4 h\r\n" + ok, []string{ok}},
		"lost middle":  {"SIP/2.0 200 OK\r\nl: 0\r\n\r\nesponse\r\n\r\n" + ok, []string{"SIP/2.0 200 OK\r\nl: 0\r\n\r\n", ok}},
		"web":          {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", nil},
		"TLS":          {"\x16\x03\x01\x02\x00\x01\x00", nil},
		"two lengths":  {"SIP/2.0 200 OK\r\nl: 1\r\nl: 9\r\n\r\nx" + ok, []string{"SIP/2.0 200 OK\r\nl: 1\r\nl: 9\r\n\r\n", ok}},
		"bad length":   {"SIP/2.0 200 OK\r\nl: x\r\n\r\n" + ok, []string{"SIP/2.0 200 OK\r\nl: x\r\n\r\n", ok}},
		"blanks":       {"SIP/2.0 200 OK\r\n  \r\n" + ok, []string{"SIP/2.0 200 OK\r\n  \r\n", ok}},
		"start line":   {"OPTIONS  sip:a@h\tSIP / 2.0 \r\n\r\nSIP/2.0\t200\r\n\r\nSIP/2.0 2000\r\n\r\n" + ok, []string{"OPTIONS  sip:a@h\tSIP / 2.0 \r\n\r\n", "SIP/2.0\t200\r\n\r\n", ok}},
		"long length":  {"SIP/2.0 200 OK\r\nl: 4294967295\r\n\r\n" + ok, []string{"SIP/2.0 200 OK\r\nl: 4294967295\r\n\r\n", ok}},
		"not complete": {piece1 + "INVITE sip:a", []string{options}},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= len(test.stream); n++ {
				var s Splitter
				if diff := cmp.Diff(test.want, split(&s, test.stream, n)); diff != "" {
					t.Fatalf("pieces of %d: %s", n, diff)
				}
				if s.Spoke() != (test.want != nil) {
					t.Fatalf("pieces of %d: spoke = %t", n, s.Spoke())
				}
			}
		})
	}
}

func TestSplitterDiscards(t *testing.T) {
	var s Splitter
	for i, test := range []struct{ piece, want string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n"},
		{"\r\n", ""},
		{"INVITE sip:a@h SIP/2.0\r\nVia", ""},
		{": x\r\n\r\n", ""},
		{strings.Repeat("\x01", 100), strings.Repeat("\x01", 64)},
		{"SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 200 OK\r\n"}, // ends the discarded line
		{"SIP/2.0 200 OK\r\n\r\n", ""},
	} {
		s.Split([]byte(test.piece), func([]byte) {})
		if got := string(s.Discarded()); got != test.want {
			t.Errorf("%d: discarded %q, want %q", i, got, test.want)
		}
	}
	if !s.Spoke() {
		t.Error("did not speak")
	}
}

func TestSplitterIsBounded(t *testing.T) {
	start := "INVITE sip:a@h SIP/2.0\r\n"
	for name, line := range map[string]string{"headers": "X: " + strings.Repeat("y", 1000) + "\r\n", "start lines": start} {
		t.Run(name, func(t *testing.T) {
			var s Splitter
			stream, longest := start+strings.Repeat(line, 1<<20/len(line)), 0
			for len(stream) > 0 {
				n := min(1400, len(stream))
				s.Split([]byte(stream[:n]), func(head []byte) { t.Errorf("a message of %d bytes", len(head)) })
				stream, longest = stream[n:], max(longest, s.Len())
			}
			if longest > 2*(MaxSize+1400) {
				t.Errorf("%d bytes kept", longest)
			}
			s.Split([]byte("\r\n\r\nSIP/2.0 200 OK"), func([]byte) {})
			if s.Len() > 100 {
				t.Errorf("%d bytes kept after the head", s.Len())
			}
			if got := split(&s, "\r\n\r\n", 2); len(got) != 1 {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

func TestSplitterGap(t *testing.T) {
	ok := "SIP/2.0 200 OK\r\n\r\n"
	for _, before := range []string{"SIP/2.0 200 OK\r\nVia", "SIP/2.0 200 OK\r\nl: 100\r\n\r\n", "garbage"} {
		var s Splitter
		split(&s, before, len(before))
		s.Gap()
		if got := split(&s, ok, len(ok)); len(got) != 1 || s.Len() != 0 {
			t.Errorf("after %q: %q", before, got)
		}
	}
}
