package exchange

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "update the golden files")

// recording returns the packets that a FreeSWITCH 1.10.12 mirrored.
func recording(t testing.TB) (all []packet.Packet) {
	t.Helper()
	return packets(t, "testdata/switch.hep.gz")
}

func packets(t testing.TB, name string) (all []packet.Packet) {
	t.Helper()
	compressed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := 4 + binary.BigEndian.Uint32(b)
		var p packet.Packet
		if err := hep.Decode(b[4:n], "", &p); err != nil {
			t.Fatal(err)
		}
		all, b = append(all, p), b[n:]
	}
	return all
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
		golden := "testdata/" + name + ".events"
		got := describe(taken(New(Options{Source: "sip.wire"}), packets(t, "testdata/"+name+".hep.gz")))
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", golden, diff)
		}
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
