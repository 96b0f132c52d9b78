package exchange

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"

	"github.com/google/go-cmp/cmp"
)

// recording returns the packets that a FreeSWITCH 1.10.12 mirrored.
func recording(t testing.TB) []packet.Packet {
	t.Helper()
	return siptest.Recorded(t, "testdata/switch.hep.gz")
}

// taken returns the events of packets.
func taken(table *Table, all []packet.Packet) (events []*event.Event) {
	for i := range all {
		table.Take(&all[i], func(e *event.Event) { events = append(events, e) })
	}
	return events
}

func describe(events []*event.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s", e.Time.UTC().Format("15:04:05.000000"), e.Name)
		for _, flag := range []struct {
			set  bool
			name string
		}{{e.Proven, "proven"}, {e.Repeat, "repeat"}} {
			if flag.set {
				b.WriteString(" " + flag.name)
			}
		}
		if e.NonceIP.IsValid() {
			fmt.Fprintf(&b, " nonce_ip=%s", e.NonceIP)
		}
		for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
			fmt.Fprintf(&b, " [%s]=%q", name, e.Fields[name])
		}
		fmt.Fprintf(&b, "\n\t%q\n", e.Text)
	}
	return b.String()
}

// TestRecordings: a FreeSWITCH under attack; a Kamailio 5.6.3 and an Asterisk 16.28, each with
// wrong passwords over UDP, TCP and IPv6, a scan and a good phone.
func TestRecordings(t *testing.T) {
	for _, name := range []string{"switch", "kamailio", "asterisk"} {
		got := describe(taken(New(Options{Source: "sip.wire"}), siptest.Recorded(t, "testdata/"+name+".hep.gz")))
		golden.Compare(t, "testdata/"+name+".events", got)
	}
}

// TestSwitchIsNamedOrLearned compares the ways to tell the switch's side.
func TestSwitchIsNamedOrLearned(t *testing.T) {
	all := recording(t)
	learned := describe(taken(New(Options{}), all))
	for name, o := range map[string]Options{
		"named": {Switch: named("10.77.0.0/24")},
		"local": {Local: isLocal("10.77.0.10")},
		"again": {},
	} {
		if diff := cmp.Diff(learned, describe(taken(New(o), all))); diff != "" {
			t.Errorf("%s (-learned +%s):\n%s", name, name, diff)
		}
	}
}
