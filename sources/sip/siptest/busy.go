package siptest

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// Busy returns the endless traffic of a switch at 10.77.0.10:5060, in the order of time: so many
// messages a second of phones that register, call, are called, subscribe and ping. Three phones
// share an address of 100.64.0.0/10. The payloads stay valid.
func Busy(seed uint64, phones, perSecond int, began time.Time) iter.Seq[packet.Packet] {
	w := New(seed, "10.77.0.10:5060", began)
	all := make([]*Peer, phones)
	for i := range all {
		at := i / 3
		all[i] = w.Peer(fmt.Sprintf("100.%d.%d.%d:%d", 64+at>>16, at>>8&255, at&255, 5060+i%3), fmt.Sprint(1000+i), "Yealink SIP-T46S 66.84.0.15")
	}
	return func(yield func(packet.Packet) bool) {
		const step = 100 * time.Millisecond
		perStep := perSecond / int(time.Second/step)
		for now := began; ; now = now.Add(step) {
			for rest := len(w.Packets); len(w.Packets)-rest < perStep; {
				w.Now = now.Add(step * time.Duration(len(w.Packets)-rest) / time.Duration(perStep))
				all[w.random.IntN(phones)].live()
			}
			slices.SortStableFunc(w.Packets, func(a, b packet.Packet) int { return a.Time.Compare(b.Time) })
			for len(w.Packets) > 0 && w.Packets[0].Time.Before(now.Add(step)) {
				if !yield(w.Packets[0]) {
					return
				}
				w.Packets = w.Packets[1:]
			}
		}
	}
}

// live does one of the things that a phone does.
func (p *Peer) live() {
	p.Talk = time.Duration(p.wire.random.Int64N(int64(20 * time.Second)))
	switch n := p.wire.random.IntN(100); {
	case n < 40 || p.Nonce == "":
		p.Register(120)
	case n < 50:
		p.RegisterStale(120)
	case n < 70:
		p.Ping()
	case n < 82:
		p.Call("9196", 200)
	case n < 90:
		p.Ring("1000")
	default:
		p.Subscribe("message-summary")
	}
}
