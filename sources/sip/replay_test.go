package sip

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// traffic is a phone that registers and calls, and an attacker that guesses.
func traffic() []packet.Packet {
	w := siptest.New(1, "198.51.100.5:5060", noon)
	w.Peer("192.0.2.7:5062", "1000", "Yealink SIP-T46S").Register(3600)
	w.Peer("203.0.113.9:5060", "100", "friendly-scanner").Guess("REGISTER", "100")
	w.Peer("203.0.113.9:5060", "101", "friendly-scanner").Request("OPTIONS", "101", 200)
	return w.Packets
}

// recorded is a recording of packets as HEP datagrams, each behind its length.
func recorded(packets ...packet.Packet) []byte {
	var all []byte
	for i := range packets {
		datagram := hep.Append(nil, &packets[i])
		all = append(binary.BigEndian.AppendUint32(all, uint32(len(datagram))), datagram...)
	}
	return all
}

// replayed returns the events of a recording, in words.
func replayed(s *source, r io.Reader) (events []string, stats plugin.Stats, err error) {
	stats, err = s.Replay(context.Background(), plugin.Recording{Name: "hep.raw", R: r, ModTime: noon}, nil, func(e *event.Event) error {
		events = append(events, fmt.Sprintf("%s %s %s %s", e.Time.UTC().Format("05.000"), e.Source, e.Name, e.IP))
		return nil
	})
	return events, stats, err
}

func TestReplay(t *testing.T) {
	s, packets := made(t, ""), traffic()
	all := recorded(packets...)
	want, stats, err := replayed(s, bytes.NewReader(all))
	if err != nil || stats.Lines != int64(len(packets)) || !stats.Recognised || len(want) < 5 {
		t.Fatalf("%v, %+v, %v", want, stats, err)
	}
	if !strings.HasPrefix(want[0], "00.000 sip.wire sip_request 192.0.2.7") {
		t.Errorf("%v", want)
	}
	cut, stats, err := replayed(s, bytes.NewReader(all[:len(all)-3]))
	if err != nil || stats.Lines != int64(len(packets))-1 || !slices.Equal(cut, want[:len(cut)]) {
		t.Errorf("cut off: %v, %+v, %v", cut, stats, err)
	}
	stray := append(recorded(packets[0]), 0, 0, 0, 3, 'x', 'y', 'z')
	one, stats, err := replayed(s, bytes.NewReader(append(stray, recorded(packets[1:]...)...)))
	if err != nil || stats.Lines != int64(len(packets)) || !slices.Equal(one, want) {
		t.Errorf("with what is no HEP: %v, %+v, %v", one, stats, err)
	}
	damaged := append(recorded(packets[0]), 0, 1, 0, 1, 'x')
	if _, stats, err := replayed(s, bytes.NewReader(damaged)); err == nil || stats.Lines != 1 ||
		!strings.Contains(err.Error(), "a length of 65537 bytes") {
		t.Errorf("damaged: %+v, %v", stats, err)
	}
}

// TestMerge cuts a recording into files, and names them in any order.
func TestMerge(t *testing.T) {
	s, packets := made(t, ""), traffic()
	want, _, err := replayed(s, bytes.NewReader(recorded(packets...)))
	if err != nil {
		t.Fatal(err)
	}
	var even, odd []packet.Packet
	for i, p := range packets {
		if i%2 == 0 {
			even = append(even, p)
		} else {
			odd = append(odd, p)
		}
	}
	half := len(packets) / 2
	for name, parts := range map[string][][]packet.Packet{
		"turned":       {packets[half:], packets[:half]},
		"side by side": {odd, even},
		"an empty one": {nil, packets, nil},
	} {
		var readers []io.Reader
		for _, part := range parts {
			readers = append(readers, bytes.NewReader(recorded(part...)))
		}
		got, stats, err := replayed(s, s.Describe().Merge(readers))
		if err != nil || !slices.Equal(got, want) || stats.Lines != int64(len(packets)) {
			t.Errorf("%s: %v, %+v, %v; want %v", name, got, stats, err, want)
		}
	}
	bad := io.MultiReader(bytes.NewReader(recorded(packets[0])), strings.NewReader("\x00\x02\x00\x00"))
	got, stats, err := replayed(s, s.Describe().Merge([]io.Reader{bad, bytes.NewReader(recorded(packets[1:]...))}))
	if err == nil || !slices.Equal(got, want) || stats.Lines != int64(len(packets)) {
		t.Errorf("a damaged one: %v, %+v, %v", got, stats, err)
	}
}

func TestRecognised(t *testing.T) {
	s := made(t, "")
	for input, want := range map[string]bool{
		string(recorded(traffic()[0])):                                                                               true,
		"OPTIONS sip:100@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4\r\n\r\n":                                      true,
		"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00":           true,
		"2026-11-22 22:13:32.361853 90.00% [WARNING] sofia_reg.c:1 SIP auth failure (REGISTER) on sofia profile 'x'": false,
		"Content-Length: 2\nContent-Type: text/event-json\n\n{}":                                                     false,
		"\x00\x00\x00\x02xy": false,
		"\x00":               false,
		"":                   false,
	} {
		if _, stats, _ := replayed(s, strings.NewReader(input)); stats.Recognised != want {
			t.Errorf("%q: %v", input, stats.Recognised)
		}
	}
}

// TestVocabulary demands that every event is in the description, with its fields.
func TestVocabulary(t *testing.T) {
	s := made(t, "")
	specs := map[string]plugin.EventSpec{}
	for _, e := range s.Describe().Events {
		specs[e.Name] = e
	}
	_, err := s.Replay(t.Context(), plugin.Recording{R: bytes.NewReader(recorded(traffic()...))}, nil, func(e *event.Event) error {
		spec, ok := specs[e.Name]
		if !ok {
			t.Errorf("%s is not in the vocabulary", e.Name)
		}
		for _, f := range event.Fields {
			if f.Name != "event" && f.Name != "source" && f.Get(e) != "" && !slices.Contains(spec.Fields, f.Name) {
				t.Errorf("%s has the field %s", e.Name, f.Name)
			}
		}
		for name := range e.Fields {
			if !slices.Contains(spec.Raw, name) {
				t.Errorf("%s has the raw field %s", e.Name, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(recorded(traffic()...))
	f.Add([]byte("OPTIONS sip:100@192.0.2.2 SIP/2.0\r\n\r\n"))
	s := made(f, "")
	f.Fuzz(func(t *testing.T, b []byte) {
		_, stats, _ := replayed(s, bytes.NewReader(b))
		if stats.Lines > int64(len(b)) {
			t.Fatalf("%d packets in %d bytes", stats.Lines, len(b))
		}
		s.explain(string(b))
	})
}
