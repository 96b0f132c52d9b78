package lines

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSplitter(t *testing.T) {
	for _, test := range []struct {
		input string
		crlf  bool
		want  []string
	}{
		{"a\nb", false, []string{"a", "b"}},
		{"a\r\n\nb\n", false, []string{"a\r", "", "b"}},
		{"a\r\nb\r", true, []string{"a", "b"}},
	} {
		s := Splitter{MaxLine: 3, CRLF: test.crlf}
		var got []string
		for rest := []byte(test.input); len(rest) > 0; {
			var line string
			line, rest = s.Cut(rest)
			got = append(got, line)
		}
		if strings.Join(got, "|") != strings.Join(test.want, "|") {
			t.Errorf("%q: %q, want %q", test.input, got, test.want)
		}
	}
	if s := (Splitter{MaxLine: 3}); s.TooLong("abc") || !s.TooLong("abcd") {
		t.Error("the limit is not 3 bytes")
	}
}

// TestBuffer reads a log in parts of any size, leaves out the rest of a line in the
// middle of it, and checks what is left and how its lines end.
func TestBuffer(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, 0))
	for _, lineBreak := range []string{"\n", "\r\n"} {
		for range 500 {
			var b Buffer
			add := func(text string) {
				for text != "" {
					n := 1 + random.IntN(len(text))
					from := len(b.Log)
					b.Log = append(b.Log, text[:n]...)
					text = text[n:]
					b.Add(from)
				}
			}
			add("one" + lineBreak + "two")
			b.Skip()
			add("and more")
			if !b.Skipping() {
				t.Fatalf("seed %d: the line has not ended", seed)
			}
			add(lineBreak + "three\r\nfour\n")
			want := "one" + lineBreak + "twothree\r\nfour\n"
			if !bytes.Equal(b.Log, []byte(want)) || b.CRLF != (lineBreak == "\r\n") || b.Skipping() {
				t.Fatalf("seed %d: %q, CRLF %v, want %q", seed, b.Log, b.CRLF, want)
			}
		}
	}
}
