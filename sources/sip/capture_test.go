package sip

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

// mirrored are recordings of switches that mirror their messages.
var mirrored = []string{
	"exchange/testdata/switch.hep.gz", "exchange/testdata/kamailio.hep.gz", "exchange/testdata/asterisk.hep.gz",
	"../../examples/recorded-wire/hep.raw.gz",
}

// wire is a pcap file of packets.
func wire(c siptest.Capture, packets []packet.Packet) []byte {
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	w.WriteFileHeader(1<<18, c.Link)
	for _, p := range packets {
		for _, frame := range c.Frames(p) {
			w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(frame), Length: len(frame)}, frame)
		}
	}
	return file.Bytes()
}

// eventsOf are the events of recordings, in full.
func eventsOf(t testing.TB, s *source, files ...[]byte) (events []*event.Event) {
	t.Helper()
	var readers []io.Reader
	for _, file := range files {
		readers = append(readers, bytes.NewReader(file))
	}
	rec := plugin.Recording{Name: "recording", R: readers[0]}
	if len(readers) > 1 {
		rec.R = s.Describe().Merge(readers)
	}
	stats, err := s.Replay(context.Background(), rec, nil, func(e *event.Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil || !stats.Recognised || stats.Note != "" {
		t.Fatalf("%+v, %v", stats, err)
	}
	return events
}

// six is the same traffic over IPv6.
func six(packets []packet.Packet) []packet.Packet {
	moved := slices.Clone(packets)
	move := func(at netip.AddrPort) netip.AddrPort {
		if !at.Addr().Is4() {
			return at
		}
		to := netip.MustParseAddr("2001:db8::").As16()
		copy(to[4:], at.Addr().AsSlice()) // each address has a /64 of its own
		return netip.AddrPortFrom(netip.AddrFrom16(to), at.Port())
	}
	for i := range moved {
		moved[i].From, moved[i].To = move(moved[i].From), move(moved[i].To)
	}
	return moved
}

// TestWire: the traffic that a switch mirrored, recorded by tcpdump instead, makes the same events.
func TestWire(t *testing.T) {
	s := made(t, "")
	for _, name := range mirrored {
		t.Run(name, func(t *testing.T) {
			packets := siptest.Recorded(t, name)
			for _, packets := range [][]packet.Packet{packets, six(packets)} {
				want := eventsOf(t, s, recorded(packets...))
				if len(want) < 20 {
					t.Fatalf("%d events", len(want))
				}
				half, ethernet := len(packets)/2, siptest.Capture{Link: layers.LinkTypeEthernet}
				var mirror []packet.Packet
				for _, p := range packets {
					q := p
					q.From, q.To = netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:9060")
					q.Transport, q.Payload = packet.UDP, hep.Append(nil, &p)
					mirror = append(mirror, q)
				}
				for how, files := range map[string][][]byte{
					"Ethernet":             {wire(ethernet, packets)},
					"small segments":       {wire(siptest.Capture{Link: layers.LinkTypeLinuxSLL2, Segment: 200}, packets)},
					"two files":            {wire(ethernet, packets[half:]), wire(ethernet, packets[:half])},
					"recorded of a mirror": {wire(ethernet, mirror)},
				} {
					if diff := cmp.Diff(want, eventsOf(t, s, files...), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
						t.Errorf("%s (-mirrored +recorded):\n%.3000s", how, diff)
					}
				}
			}
		})
	}
}
