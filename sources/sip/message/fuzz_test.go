package message

import (
	"bytes"
	"slices"
	"testing"
	"unsafe"
)

func seed(f *testing.F, add func(string)) {
	for _, text := range []string{request, message(), piece1, message("Contact: *"), message("Expires: 1", "User-Agent: x"),
		message("WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n\", stale=true"),
		"SIP/2.0 401 Unauthorized\nv: x\nf: sip:a@h\nt: <tel:1>\ni: x\nCSeq: 1 BYE\n\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01"} {
		add(text)
	}
}

// inside reports whether part is a slice of b.
func inside(b, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	start, at := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	return at >= start && at+uintptr(len(part)) <= start+uintptr(len(b))
}

// fields returns all that are slices.
func fields(m *Message) [][]byte {
	all := [][]byte{m.Method, m.Reason, m.URI.User, m.URI.Host, m.From.User, m.From.Host, m.From.Tag, m.To.User, m.To.Host, m.To.Tag,
		m.CallID, m.Branch, m.UserAgent, m.Contact.User, m.Contact.Host}
	for _, c := range m.Credentials {
		all = append(all, c.User, c.Realm, c.Nonce, c.Response)
	}
	for _, c := range m.Challenges {
		all = append(all, c.Realm, c.Nonce)
	}
	return all
}

func FuzzParse(f *testing.F) {
	seed(f, func(text string) { f.Add([]byte(text)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		m := Message{Credentials: []Digest{{User: []byte("old")}}}
		err := Parse(b, &m)
		kind := Classify(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		for i, field := range fields(&m) {
			if !inside(b, field) || cap(field) > cap(b) {
				t.Errorf("field %d is not within the input: %q", i, field)
			}
			if bytes.IndexByte(field, 0) >= 0 && err == nil {
				t.Errorf("field %d has a NUL: %q", i, field)
			}
		}
		if err != nil {
			return
		}
		if !kind.IsSIP() {
			t.Errorf("kind %d, but Parse reads it", kind)
		}
		if len(m.Method) == 0 {
			t.Errorf("incomplete: %s", show(&m))
		}
		// What follows the head changes nothing.
		var again Message
		var s Splitter
		s.Split(b, func(head []byte) {
			if err := Parse(head, &again); err == nil && inside(b[:len(head)], head) && show(&again) != show(&m) {
				t.Errorf("of the head alone: %s\n%s", show(&again), show(&m))
			}
		})
	})
}

// Wherever a stream is cut, its messages are the same.
func FuzzSplitter(f *testing.F) {
	seed(f, func(text string) { f.Add([]byte(text+text), uint16(7), uint16(100)) })
	f.Fuzz(func(t *testing.T, b []byte, n, k uint16) {
		var whole, pieces Splitter
		var want, got []string
		whole.Split(b, func(head []byte) { want = append(want, string(head)) })
		for sizes := []int{int(n) + 1, int(k) + 1}; len(b) > 0; slices.Reverse(sizes) {
			size := min(sizes[0], len(b))
			pieces.Split(b[:size], func(head []byte) { got = append(got, string(head)) })
			b = b[size:]
			if pieces.Len() > 2*(MaxSize+size) {
				t.Fatalf("%d bytes kept", pieces.Len())
			}
		}
		if !slices.Equal(want, got) || whole.Spoke() != pieces.Spoke() {
			t.Errorf("whole:  %q\npieces: %q", want, got)
		}
	})
}
