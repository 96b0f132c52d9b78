//go:build kernel

package kernel

import (
	"fmt"
	"net"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

// onWire adds the mirror of a switch to site.
const onWire = `
source "sip" "wire" {
  listen = "127.0.0.1:9060"
}
`

// wired prepares a daemon with the shipped rules that listens to the wire and the log.
func wired(t testing.TB, socket string) *daemon {
	const protect = "security {\n  protect = [\"registered\", \"dialogues\"]\n}\n"
	return prepare(t, ``, protect+onWire+fmt.Sprintf(onSocket, socket)).shipped("source.sip.wire").start()
}

// A mirror sends SIP packets to the daemon, as the switch does. Not safe for concurrent use.
type mirror struct {
	testing.TB
	conn   net.Conn
	buffer []byte
}

func mirroring(t testing.TB) *mirror {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:9060")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &mirror{TB: t, conn: conn}
}

// send mirrors packets, now.
func (m *mirror) send(packets ...packet.Packet) {
	for i := range packets {
		packets[i].Time = time.Now()
		m.buffer = hep.Append(m.buffer[:0], &packets[i])
		if _, err := m.conn.Write(m.buffer); err != nil {
			m.Errorf("%v", err)
		}
	}
}

// busy mirrors the traffic of a busy switch until it is stopped. sent is how many packets.
func (m *mirror) busy(perSecond int) (stop func() (sent int)) {
	ready, end, sent := make(chan packet.Packet, perSecond), make(chan struct{}), 0
	go func() {
		defer close(ready)
		for p := range siptest.Busy(1, 10_000, perSecond, time.Now()) {
			select {
			case ready <- p:
			case <-end:
				return
			}
		}
	}()
	halt := paced(perSecond, func(due int) int {
		for range due {
			m.send(<-ready)
		}
		sent += due
		return due
	})
	return func() int {
		halt()
		close(end)
		return sent
	}
}

// attacker returns an attacker of the switch on a wire of its own.
func attacker(ip, agent string) (*siptest.Wire, *siptest.Peer) {
	w := siptest.New(1, switchAddress+":5060", time.Now())
	return w, w.Peer(ip+":5071", "1000", agent)
}

// TestWireLatency measures the time from the message of an attacker to its last packet that got
// through.
func TestWireLatency(t *testing.T) {
	t.Run("idle", func(t *testing.T) { wireLatency(t, scanIdle, guessIdle, 0) })
	t.Run("beside 10000 messages a second", func(t *testing.T) { wireLatency(t, scanNoise, guessNoise, 10_000) })
}

func wireLatency(t *testing.T, scan, guess string, perSecond int) {
	socket := adminSocket(t)
	wired(t, socket)
	m, e := mirroring(t), listen(t)
	if perSecond > 0 {
		stop := mirroring(t).busy(perSecond)
		defer stop()
		pause(time.Second)
	}
	for i, attack := range []struct {
		name string
		do   func(ip string) (before, last []packet.Packet)
	}{
		{scan, func(ip string) (before, last []packet.Packet) {
			w, p := attacker(ip, "friendly-scanner")
			p.Request("OPTIONS", "100", 0)
			return nil, w.Packets
		}},
		{guess, func(ip string) (before, last []packet.Packet) {
			w, p := attacker(ip, "Yealink SIP-T46S 66.84.0.15")
			for range 5 {
				p.Guess("MESSAGE", "1000")
			}
			n := len(w.Packets)
			return w.Packets[:n-1], w.Packets[n-1:]
		}},
	} {
		holdLatency(t, attack.name, func(run int) (took []time.Duration) {
			for k := range tries() {
				ip := attackerOf(3*i+run, k)
				before, last := attack.do(ip)
				m.send(before...)
				took = append(took, silenced(t, e, ip, func() { m.send(last...) }))
			}
			return took
		})
	}
	if s := askingAt(t, socket).source("sip.wire"); s.Fault != "" || s.Lost > 0 && slack() == 1 {
		t.Errorf("%+v", s)
	}
}

// TestWireAndStream has the event stream and the wire report the same attackers.
func TestWireAndStream(t *testing.T) {
	pbx, socket := esltest.Start(t, healthy), adminSocket(t)
	prepare(t, ``, fmt.Sprintf(onStream, pbx.Addr())+onWire+fmt.Sprintf(onSocket, socket)).shipped("source.esl.pbx", "source.sip.wire").start()
	subscribed(t, pbx)
	m, e := mirroring(t), listen(t)
	atBest(t, "fifth wrong password on both to packets dropped; want p50 of at most 2.5ms, p99 of 8ms", func(run int) (percentiles, bool) {
		var took []time.Duration
		for k := range tries() {
			ip := attackerOf(run, k)
			w, p := attacker(ip, "Yealink SIP-T46S 66.84.0.15")
			for range 5 {
				p.Guess("REGISTER", "1000")
			}
			n := len(w.Packets)
			m.send(w.Packets[:n-1]...)
			fails(pbx, ip, 4)
			took = append(took, silenced(t, e, ip, func() {
				m.send(w.Packets[n-1])
				fails(pbx, ip, 1)
			}))
		}
		p := percentilesOf(took)
		return p, p.p50 <= most(2500*time.Microsecond) && p.p99 <= most(8*time.Millisecond)
	})
}

// TestWireLoad mirrors a busy switch: no message is lost, and no phone is banned.
func TestWireLoad(t *testing.T) {
	const perSecond = 10_000
	socket := adminSocket(t)
	d, m := wired(t, socket), mirroring(t)
	stop := m.busy(perSecond)
	pause(2 * time.Second)
	before, began := d.cpu(), time.Now()
	pause(span(12 * time.Second))
	used := share(d.cpu()-before, began)
	sent := stop()
	a := askingAt(t, socket)
	watching(t, 10*time.Second, 50*time.Millisecond, "all that was sent has been read", func() bool {
		s := a.source("sip.wire")
		return s.Lines+s.Lost >= int64(sent)
	})
	s, resident := a.source("sip.wire"), d.memory("VmHWM")
	t.Logf("%d messages a second: %.1f %% of a core, %.0f µs each; %.1f MB; %d sent, %d read, %d events, %d lost",
		perSecond, used, used*1e4/perSecond, resident, sent, s.Lines, s.Events, s.Lost)
	hold(t, wireCPU, used)
	hold(t, wireMemory, resident)
	if s.Lost > 0 && slack() == 1 || s.Fault != "" || s.Skipped > 0 {
		t.Errorf("%+v", s)
	}
	var bans map[string]any
	if a.does("GET", "/security/blacklist", "", &bans); len(bans) > 0 {
		t.Errorf("%d phones are banned: %v", len(bans), bans)
	}
}
