package engine

import (
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
)

// TestWhatWaitsToBeSavedIsBounded: the core waits for the disk before changes, events of their evidence or texts
// of these take too much memory.
func TestWhatWaitsToBeSavedIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		evidence []ban.Evidence
		most     int // changes
	}{
		"changes": {nil, maxUnsaved.changes},
		"events":  {make([]ban.Evidence, 100), maxUnsaved.events / 100},
		"texts":   {[]ban.Evidence{{Text: strings.Repeat("x", 1<<10)}}, maxUnsaved.text >> 10},
	} {
		e := New(guessing(t), Options{})
		for n := 0; !e.live.saver.isFull(); n++ {
			if n > test.most {
				t.Fatalf("%s: %d wait", name, n)
			}
			e.decide(&ban.Change{Kind: ban.KindRefuse, Ban: ban.Ban{Evidence: test.evidence}})
			e.live.saver.hand(e.untold, nil)
			e.untold = unsaved{}
		}
		e.live.saver.save()
		if e.live.saver.isFull() {
			t.Errorf("%s: it is full after it has saved", name)
		}
	}
}
