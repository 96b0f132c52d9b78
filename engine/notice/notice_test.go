package notice

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC)

func match(i int) Notice {
	return Notice{Kind: Matched, Rules: []uint64{7, 1 << 63}, Event: &event.Event{
		Time: now, Name: event.AuthFailure, Source: "log.freeswitch", IP: netip.MustParseAddr("203.0.113.7"),
		User: fmt.Sprint(1000 + i), Domain: "pbx.example", Proven: true, Weekday: "Sun", Hour: 3, DestinationNumber: "+4930",
		Fields: map[string]string{"authenticated": "true"},
	}}
}

// send passes notices from an outbox to an inbox.
func send(t *testing.T, o *Outbox, i *Inbox, at time.Time) (taken []Notice) {
	t.Helper()
	for _, m := range o.Take() {
		got, err := i.Open("sbc2", m.Bytes, at)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, got...)
	}
	return taken
}

func TestRoundTrip(t *testing.T) {
	o, i := NewOutbox(), &Inbox{}
	o.Add(match(1), FieldsOf([]string{"ip", "weekday", "hour", "destination_number", "no such field"}), now)
	got := send(t, o, i, now)
	want := match(1)
	want.Event.Node = "sbc2"
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0].Event, want.Event)
	}
}

// TestOnce delivers messages again, and after a restart of the node.
func TestOnce(t *testing.T) {
	o, i := NewOutbox(), &Inbox{}
	var all []Sealed
	for n := range 5 {
		o.Add(match(n), EvidenceFields, now)
		all = append(all, o.Take()...)
	}
	open := func(m Sealed) int {
		got, err := i.Open("sbc2", m.Bytes, now)
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	if n := open(all[0]) + open(all[1]) + open(all[1]) + open(all[0]); n != 2 {
		t.Errorf("%d notices of 2 that came twice", n)
	}
	if n := open(all[4]); n != 1 || i.Peers()["sbc2"].Missed != 2 {
		t.Errorf("%d, missed %d", n, i.Peers()["sbc2"].Missed)
	}
	restarted := NewOutbox()
	restarted.Add(match(9), EvidenceFields, now)
	if n := len(send(t, restarted, i, now)); n != 1 {
		t.Errorf("%d notices of a node that was started again", n)
	}
	if n := open(all[4]); n != 0 {
		t.Errorf("a notice of the run before counts again")
	}
}

// TestBounds tells more than is allowed, and opens a message of a node that does not keep to it.
func TestBounds(t *testing.T) {
	o, i := NewOutbox(), &Inbox{}
	for n := range MaxPerSecond + 100 {
		o.Add(match(n), KnownFields, now)
	}
	if o.Dropped != 100 {
		t.Errorf("dropped %d", o.Dropped)
	}
	if n := len(send(t, o, i, now)); n != MaxPerSecond {
		t.Errorf("taken: %d", n)
	}
	o.Add(match(0), EvidenceFields, now.Add(time.Second/2))
	if n := len(send(t, o, i, now)); n != 0 || i.Total.Refused != 1 || i.Total.Taken != MaxPerSecond {
		t.Errorf("%d notices beyond the bound are taken", n)
	}
	o.Add(match(0), EvidenceFields, now.Add(time.Second))
	if n := len(send(t, o, i, now.Add(time.Second))); n != 1 {
		t.Errorf("after a second: %d", n)
	}
}

func TestClockAhead(t *testing.T) {
	o, i := NewOutbox(), &Inbox{}
	n := match(0)
	n.Event.Time = now.Add(time.Hour)
	o.Add(n, EvidenceFields, now)
	if got := send(t, o, i, now); !got[0].Event.Time.Equal(now) {
		t.Errorf("an event of the future is of %s", got[0].Event.Time)
	}
}

func TestRefused(t *testing.T) {
	o := NewOutbox()
	o.Add(match(0), EvidenceFields, now)
	good := o.Take()[0].Bytes
	for name, m := range map[string][]byte{
		"empty": nil, "no notice": good[:17], "of another version": append([]byte{9}, good[1:]...),
		"too long": make([]byte, MaxBytes+1), "no address": []byte(strings.Replace(string(good), "203.0.113.7", "203.0.113.x", 1)),
	} {
		if _, err := (&Inbox{}).Open("sbc2", m, now); err == nil {
			t.Errorf("a message that is %s is taken", name)
		}
	}
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("the first %d bytes of a message are taken", n)
		}
	}
}

// TestHostile opens messages that would count one event often, or upset the order of time.
func TestHostile(t *testing.T) {
	twice, early := match(0), match(0)
	twice.Rules = []uint64{7, 8, 7}
	early.Event.Time = time.UnixMicro(-1 << 63)
	for name, n := range map[string]Notice{"names a rule twice": twice, "is of before 1970": early} {
		o, i := NewOutbox(), &Inbox{}
		o.Add(n, EvidenceFields, now)
		if got, err := i.Open("sbc2", o.Take()[0].Bytes, now); err == nil || got != nil || i.Peers()["sbc2"].Refused != 1 {
			t.Errorf("a notice that %s is taken", name)
		}
	}
}

// FuzzDecode holds a message of a peer to its bounds.
func FuzzDecode(f *testing.F) {
	o := NewOutbox()
	o.Add(match(0), KnownFields, now)
	f.Add(o.Take()[0].Bytes)
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		for _, n := range m.Notices {
			n.Event.Each(func(text *string) {
				if len(*text) > event.MaxField {
					t.Errorf("a text of %d bytes", len(*text))
				}
			})
			if len(n.Rules) > maxRules || len(n.Event.Fields) > maxFields {
				t.Errorf("%d rules, %d fields", len(n.Rules), len(n.Event.Fields))
			}
		}
		again := &Outbox{run: m.Run, next: m.First}
		for _, n := range m.Notices {
			again.Add(n, KnownFields, now)
		}
		for _, message := range again.Take() {
			if _, err := Decode(message.Bytes); err != nil {
				t.Errorf("what was decoded cannot be decoded again: %v", err)
			}
		}
	})
}
