package siptest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/sip/packet"
)

var began = time.Date(2026, 11, 28, 18, 39, 30, 0, time.UTC)

// TestExchanges has a peer do everything that it can: the start lines, in their order.
func TestExchanges(t *testing.T) {
	for _, c := range []struct {
		do   func(*Peer)
		want string
	}{
		{func(p *Peer) { p.Register(120) }, "REGISTER 401 REGISTER 200"},
		{func(p *Peer) { p.Register(120); p.Register(0); p.RegisterStale(120) }, "REGISTER 401 REGISTER 200 REGISTER 200 REGISTER 401 REGISTER 200"},
		{func(p *Peer) { p.Call("9196", 200) }, "INVITE 407 ACK INVITE 100 180 200 ACK BYE 200"},
		{func(p *Peer) { p.Call("9196", 480) }, "INVITE 407 ACK INVITE 100 480 ACK"},
		{func(p *Peer) { p.Invite("9196", 200) }, "INVITE 100 180 200 ACK BYE 200"},
		{func(p *Peer) { p.Ring("1001") }, "INVITE> 180 200 ACK> BYE> 200"},
		{func(p *Peer) { p.Ping() }, "OPTIONS 200"},
		{func(p *Peer) { p.Subscribe("presence") }, "SUBSCRIBE 407 SUBSCRIBE 202 NOTIFY> 200"},
		{func(p *Peer) { p.Guess("REGISTER", "1000") }, "REGISTER 401 REGISTER 403"},
		{func(p *Peer) { p.Guess("INVITE", "1000") }, "INVITE 407 ACK INVITE 403 ACK"},
		{func(p *Peer) { p.Guess("MESSAGE", "1000") }, "MESSAGE 407 MESSAGE 401"},
		{func(p *Peer) { p.Request("INVITE", "1000", 400) }, "INVITE 400 ACK"},
		{func(p *Peer) { p.Request("OPTIONS", "1000", 0) }, "OPTIONS"},
	} {
		w := New(1, "10.77.0.10:5060", began)
		c.do(w.Peer("198.51.100.65:5060", "1011", "snomD785/10.1.54.13"))
		var got []string
		for _, p := range w.Packets {
			got = append(got, start(t, w, p))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s; want %s", s, c.want)
		}
	}
}

// start returns the method or code of a message, and checks its shape.
func start(t *testing.T, w *Wire, p packet.Packet) string {
	t.Helper()
	head, body, ok := bytes.Cut(p.Payload, []byte("\r\n\r\n"))
	if !ok || !bytes.HasSuffix(head, fmt.Appendf(nil, "Content-Length: %d", len(body))) || bytes.Contains(head, []byte("%!")) || bytes.Contains(head, []byte("tag=\r\n")) {
		t.Errorf("%s", p.Payload)
	}
	words := strings.Fields(string(head))
	bySwitch := p.From == w.Switch
	if words[0] == "SIP/2.0" {
		return words[1]
	}
	if bySwitch {
		return words[0] + ">"
	}
	return words[0]
}

// TestBusy makes the traffic of a switch twice.
func TestBusy(t *testing.T) {
	const perSecond, seconds = 1000, 30
	collect := func(f func(packet.Packet)) {
		for p := range Busy(7, 500, perSecond, began) {
			if p.Time.Sub(began) > seconds*time.Second {
				return
			}
			f(p)
		}
	}
	var first []packet.Packet
	size := 0
	collect(func(p packet.Packet) {
		first = append(first, p)
		size += len(p.Payload)
	})
	i := 0
	collect(func(p packet.Packet) {
		if i > 0 && p.Time.Before(first[i-1].Time) {
			t.Errorf("packet %d: %s, after %s", i, p.Time, first[i-1].Time)
		}
		if !bytes.Equal(p.Payload, first[i].Payload) || p.From != first[i].From {
			t.Fatalf("packet %d differs", i)
		}
		i++
	})
	t.Logf("%d packets, %d bytes each", len(first), size/len(first))
	if n := len(first); n < perSecond*(seconds-3) || n > perSecond*(seconds+1) {
		t.Errorf("%d packets in %d seconds", n, seconds)
	}
}
