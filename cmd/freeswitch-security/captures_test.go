package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

// capture writes packets as tcpdump records them, frames cut at snap bytes.
func capture(t testing.TB, packets []packet.Packet, snap int) []byte {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(uint32(snap), layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	frames := siptest.Capture{Link: layers.LinkTypeEthernet}
	for _, p := range packets {
		for _, frame := range frames.Frames(p) {
			info := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: min(len(frame), snap), Length: len(frame)}
			if err := w.WritePacket(info, frame[:info.CaptureLength]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return file.Bytes()
}

// TestCaptures: the recorded wire has the same verdicts as HEP datagrams and as files of tcpdump.
func TestCaptures(t *testing.T) {
	mirrored := joined(t, recordedWire, "hep.raw")
	var packets []packet.Packet
	for rest := mirrored; len(rest) > 0; {
		end := 4 + binary.BigEndian.Uint32(rest)
		var p packet.Packet
		if err := hep.Decode(rest[4:end], "", &p); err != nil {
			t.Fatal(err)
		}
		packets, rest = append(packets, p), rest[end:]
	}
	whole, half := capture(t, packets, 1<<18), len(packets)/2
	first, second := capture(t, packets[:half], 1<<18), capture(t, packets[half:], 1<<18)
	want := replayed(t, bytes.NewReader(mirrored), "--rules", shippedRules, "wire=-")
	if strings.Count(want, "\n") < 20 {
		t.Fatalf("%d verdicts", strings.Count(want, "\n"))
	}
	for name, args := range map[string][]string{
		"pcap":       {"wire=" + write(t, "wire.pcap", whole)},
		"recognised": {write(t, "wire.pcap.gz", compressed(whole))},
		"pieces":     {"wire=" + write(t, "2.pcap", second), "wire=" + write(t, "1.pcap.gz", compressed(first))},
	} {
		if got := replayed(t, nil, append([]string{"--rules", shippedRules}, args...)...); got != want {
			t.Errorf("%s: got\n%.2000s\nwant\n%.2000s", name, got, want)
		}
	}
	_, notes, status := command(t, bytes.NewReader(capture(t, packets, 200)), "replay", "--rules", shippedRules, "wire=-")
	if status != exitYes || !strings.Contains(notes, "packets are cut off: record whole packets (tcpdump -s 0)") {
		t.Errorf("cut off: status %d, %s", status, notes)
	}
}

// BenchmarkCaptures replays a capture of a busy switch: 10,000 messages a second of 20,000 phones.
func BenchmarkCaptures(b *testing.B) {
	const messages = 200_000
	var packets []packet.Packet
	for p := range siptest.Busy(1, 20_000, 10_000, time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC)) {
		if packets = append(packets, p); len(packets) == messages {
			break
		}
	}
	path := write(b, "busy.pcap", capture(b, packets, 1<<18))
	for b.Loop() {
		replayed(b, nil, "--rules", shippedRules, "wire="+path)
	}
	b.ReportMetric(float64(messages*b.N)/b.Elapsed().Seconds(), "messages/s")
}
