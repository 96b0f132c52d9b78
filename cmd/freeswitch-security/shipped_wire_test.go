package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"

	"github.com/google/go-cmp/cmp"
)

// TestShippedWire shows what the shipped rules do to innocent customers with the wire alone. The
// customers' SIP messages go through the source. The comment of a rule that bans one says so, and
// what to do.
func TestShippedWire(t *testing.T) {
	const guessing = "password guessing: ban 10m"
	for _, test := range []struct {
		name string
		tell func(w *wire)
		want string
	}{
		{"a carrier that pings twice a second from four addresses", func(w *wire) { w.carriers(200) }, ""},
		{"the same, refused with 404", func(w *wire) { w.carriers(404) }, ""},
		{"the same, refused with 405", func(w *wire) { w.carriers(405) }, ""},
		{"the same, refused with 503", func(w *wire) { w.carriers(503) }, ""},
		{"the same, and no answer", func(w *wire) { w.carriers(0) }, ""},
		{"a health check by sipsak, every ten seconds", func(w *wire) {
			w.phone.Agent = "sipsak 0.9.8.1"
			w.every(360, 10*time.Second, func(int) { w.phone.Ping() })
		}, ""},
		{"a health check without a name, every second", func(w *wire) {
			w.phone.Agent = ""
			w.every(3600, time.Second, func(int) { w.phone.Ping() })
		}, ""},
		{"keep-alives of all kinds, every ten seconds", func(w *wire) {
			w.every(360, 10*time.Second, func(i int) {
				kinds := []string{"\r\n\r\n", "\r\n", "\x00", "\x00\x00\x00\x00", "", "jaK", "0", "\x00\x01\x00\x08!\x12\xa4Babcdefghijkl\x00\x03\x00\x04\x00\x00\x00\x00"}
				w.phone.Send(kinds[i%len(kinds)])
			})
		}, ""},
		{"a phone that registers every minute", func(w *wire) {
			w.every(60, time.Minute, func(int) { w.phone.Register(120) })
		}, ""},
		{"a phone that is challenged every time, without a password, every thirty seconds", func(w *wire) {
			w.every(240, 30*time.Second, func(int) { w.phone.Request("REGISTER", "1000", 401) })
		}, ""},
		{"forty keys, each challenged", func(w *wire) {
			w.phone.Register(3600)
			w.every(40, 10*time.Millisecond, func(i int) { w.phone.Ask("SUBSCRIBE", fmt.Sprint(1000+i), 202) })
		}, ""},
		{"forty keys of a phone that the guard has never heard, all challenged before it answers", func(w *wire) {
			w.every(40, 2*time.Millisecond, func(int) { w.phone.Request("SUBSCRIBE", "1000", 407) })
			w.every(40, 4*time.Millisecond, func(i int) { w.phone.Ask("SUBSCRIBE", fmt.Sprint(1000+i), 202) })
		}, ""},
		{"forty keys for an event that the switch does not know", func(w *wire) {
			w.phone.Register(3600)
			w.every(40, 10*time.Millisecond, func(i int) { w.phone.Ask("SUBSCRIBE", fmt.Sprint(1000+i), 489) })
		}, ""},
		{"presence, every ten seconds", func(w *wire) {
			w.every(360, 10*time.Second, func(int) { w.phone.Ask("PUBLISH", "1000", 200) })
		}, ""},
		{"a chat", func(w *wire) {
			w.every(100, time.Second, func(int) { w.phone.Ask("MESSAGE", "1001", 202) })
		}, ""},
		{"two hundred phones in twenty seconds, after a power cut", func(w *wire) {
			w.callCentre(200, 100*time.Millisecond, func(p *siptest.Peer) { p.Register(3600) })
		}, "register sweep: spared, extension scan: spared"},
		{"two hundred phones of yesterday, all challenged before one answers", func(w *wire) {
			w.callCentre(200, 100*time.Millisecond, func(p *siptest.Peer) { p.Register(60) })
			w.Now = w.Now.Add(12 * time.Hour)
			w.callCentre(200, time.Millisecond, func(p *siptest.Peer) { p.Request("REGISTER", p.User, 401) })
			w.callCentre(200, 4*time.Millisecond, func(p *siptest.Peer) { p.Register(3600) })
		}, "register sweep: spared, extension scan: spared, unauthenticated flood: spared"},
		{"five hundred phones behind one address, all day", func(w *wire) {
			w.callCentre(500, 50*time.Millisecond, func(p *siptest.Peer) { p.Register(3600) })
			w.callCentre(500, 50*time.Millisecond, func(p *siptest.Peer) { p.Subscribe("message-summary") })
			w.callCentre(500, 200*time.Millisecond, func(p *siptest.Peer) { p.Call("9196", 200) })
		}, "register sweep: spared, extension scan: spared"},
		{"a phone with an old password, alone, every thirty seconds", func(w *wire) {
			w.every(240, 30*time.Second, func(int) { w.phone.Guess("REGISTER", "1000") })
		}, guessing},
		{"a phone with an old password beside one that is registered", func(w *wire) {
			w.every(240, 30*time.Second, func(int) {
				w.callCentre(1, 0, func(p *siptest.Peer) { p.Register(3600) })
				w.phone.Guess("REGISTER", "2000")
			})
		}, "password guessing: spared, slow password guessing: spared"},
		{"two typos and the right password", func(w *wire) {
			w.phone.Guess("REGISTER", "1000")
			w.phone.Guess("REGISTER", "1000")
			w.phone.Register(3600)
		}, ""},
		{"a phone that moves every minute, and a PBX behind a changing address", func(w *wire) {
			w.phone.Register(3600)
			w.every(60, time.Minute, func(i int) {
				w.phone = w.moved(w.phone, fmt.Sprintf("203.0.113.%d:5060", 40+i))
				w.phone.RegisterStale(3600)
				w.phone.Call("9196", 200)
			})
		}, "account in many places: alert"},
		{"twenty wrong numbers", func(w *wire) {
			w.phone.Register(3600)
			w.every(20, time.Second, func(i int) { w.phone.Call(fmt.Sprint(9900+i), 404) })
		}, ""},
		{"twenty wrong numbers of a phone that never registers", func(w *wire) {
			w.every(20, time.Second, func(i int) { w.phone.Call(fmt.Sprint(9900+i), 404) })
		}, ""},
		{"a carrier, one of three calls for a number without a route", func(w *wire) {
			w.every(300, time.Second, func(i int) { w.phone.Invite(fmt.Sprint(4930123000+i), []int{200, 404, 486}[i%3]) })
		}, "walking numbers: spared"},
		{"a carrier that delivers one number without a route, every ten seconds", func(w *wire) {
			w.every(60, 10*time.Second, func(int) { w.phone.Invite("4930123456", 404) })
		}, ""},
		{"a carrier over TLS whose callers dial wrong numbers, none answered", func(w *wire) {
			w.phone.Transport = packet.TLS
			w.every(60, 5*time.Second, func(i int) { w.phone.Invite(fmt.Sprint(4930123000+i), 404) })
		}, ""},
		{"a new trunk without a route for any of its numbers", func(w *wire) {
			w.every(20, 30*time.Second, func(i int) { w.phone.Invite(fmt.Sprint(4930123000+i), 404) })
		}, "walking numbers: ban 10m"},
		{"TLS on the clear port, every thirty seconds", func(w *wire) {
			w.phone.Transport = packet.TCP
			w.every(240, 30*time.Second, func(i int) {
				w.phone = w.moved(w.phone, fmt.Sprintf("203.0.113.30:%d", 40000+i))
				w.phone.Send("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("x", 190))
			})
		}, ""},
		{"a browser that is opened once", func(w *wire) {
			w.phone.Transport = packet.TCP
			w.every(3, 100*time.Millisecond, func(i int) {
				w.phone = w.moved(w.phone, fmt.Sprintf("203.0.113.30:%d", 40000+i))
				w.phone.Send("GET / HTTP/1.1\r\nHost: pbx.example.org:5060\r\nUser-Agent: Mozilla/5.0\r\n\r\n")
			})
		}, ""},
		{"a phone with a flaw in its header, sent again and again", func(w *wire) {
			w.every(60, time.Minute, func(i int) {
				flawed := fmt.Sprintf("REGISTER sip:10.77.0.10 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.30:5060;branch=z9hG4bK%d\r\nFrom: <sip:1000\r\nbroken\r\n\r\n", i)
				for _, after := range []int{0, 500, 1000, 2000, 4000, 4000, 4000, 4000} { // RFC 3261, 17.1.2.2
					w.Now = w.Now.Add(time.Duration(after) * time.Millisecond)
					w.phone.Send(flawed)
				}
			})
		}, ""},
		{"calls with T.38, REFER, INFO and UPDATE", func(w *wire) {
			w.phone.Within = []string{"INVITE", "UPDATE", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "INVITE", "REFER", "NOTIFY", "MESSAGE"}
			w.phone.Talk = time.Minute
			w.phone.Register(3600)
			w.every(60, time.Minute, func(int) { w.phone.Call("9196", 200) })
		}, ""},
		{"a softphone made with VaxSIP", func(w *wire) {
			w.phone.Agent = "VaxSIPUserAgent/3.5"
			w.phone.Register(3600)
			w.every(20, time.Minute, func(int) { w.phone.Call("9196", 200) })
		}, "toolkit that looks around: spared"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWire()
			test.tell(w)
			if got := w.outcome(t); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestShippedWireAttacks shows which rule bans an attacker first, and that a forger of senders has no
// customer banned.
func TestShippedWireAttacks(t *testing.T) {
	w := newWire()
	attackers := map[string]string{} // the rule that bans it first
	attacks := func(rule string, f func(p *siptest.Peer)) {
		at := fmt.Sprintf("198.18.31.%d", 1+len(attackers))
		attackers[at] = rule
		f(w.Peer(at+":5060", "1000", "Yealink SIP-T46S 66.84.0.15"))
	}
	for _, method := range []string{"REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH"} {
		attacks("password guessing", func(p *siptest.Peer) {
			w.every(5, time.Second, func(int) { p.Guess(method, "1000") })
		})
	}
	attacks("refused calls", func(p *siptest.Peer) {
		w.every(6, 100*time.Millisecond, func(i int) { p.Invite(fmt.Sprint(5000+i), 404) })
	})
	attacks("walking numbers", func(p *siptest.Peer) {
		w.every(10, 30*time.Second, func(i int) { p.Invite(fmt.Sprint(4930123000+i), 480) })
	})
	attacks("walking prefixes", func(p *siptest.Peer) {
		w.every(10, 30*time.Second, func(i int) { p.Invite(fmt.Sprintf("%d0972592577956", i), 480) })
	})
	attacks("refused requests", func(p *siptest.Peer) {
		w.every(6, 100*time.Millisecond, func(int) { p.Request("REFER", "1000", 403) })
	})
	attacks("options flood", func(p *siptest.Peer) {
		w.every(40, 300*time.Millisecond, func(int) { p.Ping() })
	})
	attacks("register sweep", func(p *siptest.Peer) {
		w.every(20, 300*time.Millisecond, func(i int) { p.Request("REGISTER", fmt.Sprint(1000+i), 401) })
	})

	carrier := w.Peer("203.0.113.6:5060", "4930123456", "Kamailio (5.7.4)")
	carrier.Invite("4930654321", 200)
	w.phone.Register(60)
	w.Now = w.Now.Add(time.Hour)
	attacks("password guessing", func(p *siptest.Peer) {
		p.Request("REGISTER", "1000", 401)
		forged := *p
		forged.Addr = w.phone.Addr
		w.every(40, 20*time.Millisecond, func(i int) { forged.Refused("REGISTER", fmt.Sprint(1000+i)) })
	})
	for _, victim := range []*siptest.Peer{carrier, w.phone} {
		forged := *victim
		forged.Nonce = "a nonce that the switch has not sent"
		w.every(40, 20*time.Millisecond, func(i int) {
			forged.Agent = "friendly-scanner"
			forged.Request("OPTIONS", fmt.Sprint(1000+i), 200)
			forged.Refused("REGISTER", fmt.Sprint(1000+i))
			forged.Invite(fmt.Sprintf("0097259257%d", 7900+i), 480)
			forged.Send("INVITE sip:1000@10.77.0.10 SIP/2.0\r\nbad\r\n\r\n")
			forged.Send("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4")
		})
	}

	cfg, bans := shipped(t), map[string]string{}
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) {
		if at := c.Target.Prefix().Addr().String(); c.InForce() && c.Target.Kind() != ban.TargetEndpoint && bans[at] == "" {
			bans[at] = c.Rule
		}
	}})
	if _, err := e.Replay(t.Context(), []engine.Input{w.mirrored(cfg)}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(attackers, bans); diff != "" {
		t.Errorf("the first ban of each address (-want +got):\n%s", diff)
	}
}

// A wire is what a capture shows of customers.
type wire struct {
	*siptest.Wire
	phone *siptest.Peer
	staff []*siptest.Peer // the phones of the call centre
}

func newWire() *wire {
	w := siptest.New(1, "10.77.0.10:5060", time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC))
	return &wire{Wire: w, phone: w.Peer("203.0.113.30:5060", "1000", "Yealink SIP-T46U 108.86.0.45")}
}

// every repeats f, which may take longer than the interval.
func (w *wire) every(times int, interval time.Duration, f func(i int)) {
	for i := range times {
		next := w.Now.Add(interval)
		f(i)
		if w.Now.Before(next) {
			w.Now = next
		}
	}
}

// carriers has four addresses ping twice a second, for twenty minutes. The switch answers with code.
func (w *wire) carriers(code int) {
	w.every(2400, 500*time.Millisecond, func(int) {
		for i := range 4 {
			w.Peer(fmt.Sprintf("203.0.113.%d:5060", 6+i), "ping", "Kamailio (5.7.4)").Request("OPTIONS", "ping", code)
		}
	})
}

// callCentre does something with the phones behind one address, one after another.
func (w *wire) callCentre(n int, interval time.Duration, f func(p *siptest.Peer)) {
	for i := len(w.staff); i < n; i++ {
		w.staff = append(w.staff, w.Peer(fmt.Sprintf("203.0.113.30:%d", 10000+i), fmt.Sprint(1000+i), "Yealink SIP-T46U 108.86.0.45"))
	}
	w.every(n, interval, func(i int) { f(w.staff[i]) })
}

// moved returns the same phone at another address.
func (w *wire) moved(p *siptest.Peer, addr string) *siptest.Peer {
	at := *p
	at.Addr = w.Peer(addr, "", "").Addr
	return &at
}

func (w *wire) outcome(t *testing.T) string {
	t.Helper()
	cfg := shipped(t)
	return outcome(t, cfg, w.mirrored(cfg))
}

// mirrored is the wire as FreeSWITCH mirrors it.
func (w *wire) mirrored(cfg *config.Config) engine.Input {
	slices.SortStableFunc(w.Packets, func(a, b packet.Packet) int { return a.Time.Compare(b.Time) })
	var mirrored []byte
	for i := range w.Packets {
		start := len(mirrored)
		mirrored = hep.Append(append(mirrored, 0, 0, 0, 0), &w.Packets[i])
		binary.BigEndian.PutUint32(mirrored[start:], uint32(len(mirrored)-start-4))
	}
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "sip.wire" })
	return engine.Input{Ref: "sip.wire", Source: cfg.Sources[i].Source, Recording: plugin.Recording{Name: "wire", R: bytes.NewReader(mirrored)}}
}
