package plugin

import (
	"strings"
	"testing"

	"freeswitch-security/engine/event"
)

func TestQueueIsBounded(t *testing.T) {
	e := &event.Event{Text: strings.Repeat("x", event.MaxText)}
	for _, c := range []struct{ length, want int }{{100, 100}, {1_000_000, int(maxQueueBytes / weight(e))}} {
		q, n := NewQueue(c.length), 0
		for q.Put(e) {
			n++
		}
		if n != c.want {
			t.Errorf("a queue of %d holds %d events; want %d", c.length, n, c.want)
		}
		if q.Out(<-q.C); !q.Put(e) || q.Put(e) {
			t.Error("one event taken out does not make room for one")
		}
		for len(q.C) > 0 {
			q.Out(<-q.C)
		}
		if bytes := q.bytes.Load(); bytes != 0 {
			t.Errorf("%d bytes in an empty queue", bytes)
		}
	}
}
