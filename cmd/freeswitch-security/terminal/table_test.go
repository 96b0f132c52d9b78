package terminal

import (
	"testing"
	"time"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"abc", 0, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"}, {"", 1, ""}, {"ab", 1, "…"},
	} {
		if got := Cut(c.line, c.columns); got != c.want {
			t.Errorf("%q cut at %d is %q, want %q", c.line, c.columns, got, c.want)
		}
	}
}

func TestAbout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1500 * time.Millisecond: "1s", 90 * time.Second: "1m30s", 3*time.Hour + 59*time.Second: "3h",
		75*time.Hour + time.Minute: "3d3h", 200*24*time.Hour + 5*time.Hour: "200d",
	} {
		if got := About(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
