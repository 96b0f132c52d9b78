package journal

import (
	"slices"
	"testing"
	"time"
)

func TestArgs(t *testing.T) {
	q := Query{Unit: "freeswitch.service", Match: []string{"CONTAINER_NAME=fs"}, Directory: "/j"}
	got := q.args(Place{Since: time.Unix(7, 42_000)}, true)
	for _, want := range []string{"--since=@7.000042", "--directory=/j", "--merge", "--follow", "--all"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q has no %s", got, want)
		}
	}
	if got[len(got)-1] != "CONTAINER_NAME=fs" {
		t.Errorf("%q", got)
	}
	q = Query{Unit: "x"}
	got = q.args(Place{Cursor: "s=1;i=2"}, false)
	if !slices.Contains(got, "--after-cursor=s=1;i=2") || slices.Contains(got, "--follow") || slices.Contains(got, "--merge") {
		t.Errorf("%q", got)
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]bool{"freeswitch.service": true, "fs@1.service": true, "": false, "a b": false, "fs*": false, "a\n": false} {
		if IsUnit(text) != want {
			t.Errorf("unit %q", text)
		}
	}
	for text, want := range map[string]bool{"CONTAINER_NAME=fs": true, "_UID=0": true, "+": false, "--flush": false, "a=b": false, "A=": false, "A=b\x00": false} {
		if IsMatch(text) != want {
			t.Errorf("match %q", text)
		}
	}
}

// FuzzPlace checks that a cursor of a journal or of a position can be an argument.
func FuzzPlace(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"s=1;i=2","cursor":"s=1;i=2"}`))
	f.Add([]byte(`{"__CURSOR":"a b","cursor":"\u0000"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok := At(data); ok && !isCursor(p.Cursor) {
			t.Errorf("%q", p.Cursor)
		}
		if p, err := ParsePlace(data); err == nil {
			if again, err := ParsePlace(p.Bytes()); err != nil || again.Cursor != p.Cursor || !again.Since.Equal(p.Since) {
				t.Errorf("%+v, %v", again, err)
			}
		}
	})
}
