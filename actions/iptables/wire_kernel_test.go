//go:build kernel

package iptables

import (
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/ban"

	"golang.org/x/sys/unix"
)

// A wire connects the namespace of the tests, where a socket plays the switch, with a
// second namespace from which the attackers send.
type wire struct {
	k        *kernel
	peer     string // the pid of a process in the attackers' namespace
	switch4  netip.AddrPort
	switch6  netip.AddrPort
	flooding sync.WaitGroup
	stop     chan struct{}
	round    atomic.Uint64 // of the flood, in every packet

	mu      sync.Mutex // guards arrived
	arrived map[netip.Addr]arrivals
	more    chan struct{} // has one slot, which is filled when a packet arrives
}

// arrivals are the packets of one sender.
type arrivals struct {
	packets int64
	round   uint64 // in the last of them
}

func newWire(k *kernel) *wire {
	w := &wire{
		k: k, stop: make(chan struct{}), arrived: map[netip.Addr]arrivals{}, more: make(chan struct{}, 1),
		switch4: netip.MustParseAddrPort("192.168.77.1:5060"),
		switch6: netip.MustParseAddrPort("[2001:db8:77::1]:5060"),
	}
	holder := exec.Command("sleep", "600")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := holder.Start(); err != nil {
		k.Fatal(err)
	}
	w.peer = strconv.Itoa(holder.Process.Pid)
	k.Cleanup(func() {
		close(w.stop)
		w.flooding.Wait()
		_ = holder.Process.Kill()
		_ = holder.Wait()
		k.try("ip", "link", "del", "sip0")
	})
	k.sh("ip", "link", "set", "lo", "up")
	k.sh("ip", "link", "add", "sip0", "type", "veth", "peer", "name", "att0", "netns", w.peer)
	k.sh("ip", "addr", "add", "192.168.77.1/24", "dev", "sip0")
	k.sh("ip", "addr", "add", "2001:db8:77::1/64", "dev", "sip0", "nodad")
	k.sh("ip", "link", "set", "sip0", "up")
	w.inPeer("addr", "add", "192.168.77.2/24", "dev", "att0")
	w.inPeer("addr", "add", "2001:db8:77::2/64", "dev", "att0", "nodad")
	w.inPeer("link", "set", "att0", "up")
	w.inPeer("route", "add", "default", "via", "192.168.77.1")
	k.sh("ip", "route", "add", "203.0.113.0/24", "dev", "sip0")
	k.sh("ip", "route", "add", "2001:db8:bad::/48", "dev", "sip0")
	w.listen(w.switch4)
	w.listen(w.switch6)
	return w
}

func (w *wire) inPeer(args ...string) {
	w.k.Helper()
	w.k.sh("nsenter", append([]string{"-t", w.peer, "-n", "ip"}, args...)...)
}

// listen counts the packets that arrive, by sender.
func (w *wire) listen(at netip.AddrPort) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		w.k.Fatal(err)
	}
	w.k.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			w.mu.Lock()
			a := w.arrived[from.Addr().Unmap()]
			w.arrived[from.Addr().Unmap()] = arrivals{a.packets + 1, binary.BigEndian.Uint64(buf[:n])}
			w.mu.Unlock()
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
	}()
}

// from sums up what has come from addresses: all packets, and the latest round that
// every address has reached.
func (w *wire) from(addrs ...string) arrivals {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := arrivals{round: math.MaxUint64}
	for _, addr := range addrs {
		a := w.arrived[netip.MustParseAddr(addr)]
		all = arrivals{all.packets + a.packets, min(all.round, a.round)}
	}
	return all
}

// until waits for packets until arrived is true.
func (w *wire) until(what string, arrived func() bool) {
	w.k.Helper()
	for deadline := time.After(time.Minute); !arrived(); {
		select {
		case <-w.more:
		case <-deadline:
			w.k.Fatalf("timeout waiting for %s", what)
		}
	}
}

// attacker gives the peer an address and returns a socket there.
func (w *wire) attacker(addr string) *net.UDPConn {
	w.k.Helper()
	a := netip.MustParseAddr(addr)
	to, args := w.switch4, []string{"addr", "add", addr + "/32", "dev", "att0"}
	if a.Is6() {
		to, args = w.switch6, []string{"addr", "add", addr + "/128", "dev", "att0", "nodad"}
	}
	w.inPeer(args...)
	var conn *net.UDPConn
	err := w.within(func() (err error) {
		conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 5080)), net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		w.k.Fatalf("socket of %s: %v", addr, err)
	}
	w.k.Cleanup(func() { conn.Close() })
	return conn
}

// within runs f in the attackers' namespace, on a thread that ends with it, so that no
// other goroutine runs there.
func (w *wire) within(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/proc/" + w.peer + "/ns/net")
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// innocents are never banned: their packets show the progress of the flood.
var innocents = []string{"192.168.77.3", "2001:db8:77::3"}

// flood sends from sockets, and at the end of each round from the innocents, as fast as
// possible until the test ends.
func (w *wire) flood(conns ...*net.UDPConn) {
	for _, addr := range innocents {
		conns = append(conns, w.attacker(addr))
	}
	w.flooding.Go(func() {
		for packet := make([]byte, 8); ; {
			select {
			case <-w.stop:
				return
			default:
			}
			binary.BigEndian.PutUint64(packet, w.round.Add(1))
			for _, c := range conns {
				_, _ = c.Write(packet) // a REJECT comes back as an error
			}
		}
	})
}

// reaches waits for packets of addr.
func (w *wire) reaches(addr string) {
	w.k.Helper()
	was := w.from(addr).packets
	w.until("packets of "+addr, func() bool { return w.from(addr).packets > was })
}

// settle waits until all senders have sent once more and everything sent before has
// arrived or was dropped. A REJECT costs its sender every other packet.
func (w *wire) settle() {
	w.k.Helper()
	const rounds = 4
	round := w.round.Load() + rounds
	w.until("the innocents", func() bool { return w.from(innocents...).round >= round })
}

// watch returns a function that fails the test if packets of addrs have arrived since.
// Packets in flight at the beginning do not count.
func (w *wire) watch(addrs ...string) (check func(when string)) {
	w.k.Helper()
	w.settle()
	was := w.from(addrs...).packets
	return func(when string) {
		w.k.Helper()
		w.settle()
		if n := w.from(addrs...).packets - was; n > 0 {
			w.k.Errorf("%s: %d packets of banned addresses arrived", when, n)
			was += n
		}
	}
}

// TestKernelNoPacketPasses floods from banned addresses during all operations of the
// action, and counts the packets that arrive.
func TestKernelNoPacketPasses(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		w := newWire(k)
		var conns []*net.UDPConn
		for _, addr := range attackers {
			conns = append(conns, w.attacker(addr))
		}
		w.flood(append(conns, w.attacker("203.0.113.100"))...)
		for _, addr := range attackers {
			w.reaches(addr)
		}

		hour := time.Now().Add(time.Hour)
		attacks := []ban.Ban{banOf("203.0.113.7/32", hour), banOf("203.0.113.8/31", time.Time{}), banOf("2001:db8:bad::/64", hour)}
		fillers := many(200, hour)
		a := k.action(floodBody)
		k.resync(a, append(attacks, fillers[:90]...)...)
		check := w.watch(attackers...)
		check("banned by rules")
		throughSet(k, a, attacks, fillers, check)
		a = throughRestarts(k, attacks, fillers, check)

		w.reaches("203.0.113.100")
		k.apply(a, unban("203.0.113.7/32"))
		w.reaches("203.0.113.7")
		check = w.watch(attackers[1:]...)
		check("another ban removed")
		if err := a.Withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, addr := range attackers {
			w.reaches(addr)
		}
	})
}

var attackers = []string{"203.0.113.7", "203.0.113.8", "2001:db8:bad::7"}

const floodBody = `
	ipset_above = 100
	max_entries = 256`

// throughSet changes from rules to a set, and lets the set grow.
func throughSet(k *kernel, a *Action, attacks, fillers []ban.Ban, check func(string)) {
	hour := time.Now().Add(time.Hour)
	k.quiet(a, append(attacks, fillers[:90]...)...)
	check("resync of rules")
	k.apply(a, banned("192.0.2.1/32", hour), banned("203.0.113.7/32", hour.Add(time.Hour)))
	check("a further ban and a longer one")
	k.apply(a, unban("192.0.2.1/32"))
	check("the further ban removed")
	for i, b := range fillers[90:] {
		k.apply(a, bannedBan(b))
		if i == 30 {
			check("rules to set")
		}
	}
	check("set grown")
	if a.backend != backendSet || len(k.chain("iptables")) != 1 {
		k.Fatalf("backend %s, chain %q", a.backend, k.chain("iptables"))
	}
	if a.families[ipv4].sets[networks].maxElem <= 256 {
		k.Fatalf("the set still holds %d", a.families[ipv4].sets[networks].maxElem)
	}
	k.apply(a, banned("203.0.113.7/32", hour.Add(2*time.Hour)))
	check("a longer ban in the set")
}

// throughRestarts takes over a set, changes back to rules, and takes over those.
func throughRestarts(k *kernel, attacks, fillers []ban.Ban, check func(string)) *Action {
	few := append(slices.Clone(attacks), fillers[:10]...)
	a := k.action(floodBody)
	k.resync(a, append(attacks, fillers...)...)
	check("taken over as a set")
	k.resync(a, few...)
	if a.backend != backendRules {
		k.Fatal(a.backend)
	}
	check("set to rules")
	a = k.action(floodBody)
	k.quiet(a, few...)
	check("taken over as rules")
	return a
}

// TestKernelHooks: packets are dropped at the configured hooks, and only those to the
// configured ports.
func TestKernelHooks(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		w := newWire(k)
		w.flood(w.attacker("203.0.113.7"), w.attacker("2001:db8:bad::7"))
		bans := []string{"203.0.113.7", "2001:db8:bad::7"}
		hour := time.Now().Add(time.Hour)
		for _, body := range []string{
			`hooks = ["raw/PREROUTING"]`,
			`hooks = ["mangle/PREROUTING", "INPUT"]`,
			`ports = ["5060-5061", "5080"]`,
			`protocols = ["udp"]`,
			`target = "REJECT"`,
			"hooks = [\"raw/PREROUTING\", \"INPUT\"]\nbackend = \"ipset\"",
			"target = \"REJECT\"\nbackend = \"ipset\"\nports = [\"5060\"]",
		} {
			for _, addr := range bans {
				w.reaches(addr)
			}
			a := k.action(body)
			k.resync(a, banOf("203.0.113.7/32", hour), banOf("2001:db8:bad::/64", hour))
			k.quiet(a, banOf("203.0.113.7/32", hour), banOf("2001:db8:bad::/64", hour))
			check := w.watch(bans...)
			check(body)
			in, err := a.Inspect(t.Context())
			if err != nil || len(in.Problems)+len(in.Foreign) > 0 || len(in.Entries) != 2 || in.Entries[0].Packets == 0 {
				t.Errorf("%s: %+v, %v", body, in, err)
			}
			if err := a.Withdraw(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		a := k.action(`ports = ["5080"]`)
		k.resync(a, banOf("203.0.113.7/32", hour))
		w.reaches("203.0.113.7") // it sends to 5060
	})
}

// TestKernelExpiresAlone: a ban in a set expires without the action.
func TestKernelExpiresAlone(t *testing.T) {
	k := newKernel(t, "nft")
	w := newWire(k)
	w.flood(w.attacker("203.0.113.7"))
	a := k.action(`backend = "ipset"`)
	end := time.Now().Add(3 * time.Second)
	k.resync(a, banOf("203.0.113.7/32", end))
	check := w.watch("203.0.113.7")
	check("just banned")
	w.reaches("203.0.113.7")
	if early := time.Until(end); early > 0 {
		t.Errorf("expired %v too early", early)
	}
	k.quiet(a)
}

// TestKernelFlows: the conntrack flows of a banned address are deleted, of both
// families, in every zone, and no others.
func TestKernelFlows(t *testing.T) {
	k := newKernel(t, "nft")
	destination := map[bool]string{false: "192.0.2.200", true: "2001:db8:ffff::1"}
	flow := func(source string, options ...string) {
		k.sh("conntrack", append([]string{"-I", "-p", "udp", "-s", source, "-d", destination[strings.Contains(source, ":")],
			"--sport", "5060", "--dport", "5060", "-t", "300"}, options...)...)
	}
	flows := func(source string) int {
		family := "ipv4"
		if strings.Contains(source, ":") {
			family = "ipv6"
		}
		return len(fieldsOf(k.sh("conntrack", "-L", "-f", family, "-s", source), "src="+source))
	}
	k.Cleanup(func() { k.sh("conntrack", "-F") })
	a := k.action("")
	k.resync(a)
	all := []string{"203.0.113.7", "203.0.113.8", "198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"}
	for _, source := range all {
		flow(source)
	}
	flow("203.0.113.7", "-w", "5")
	deleted := map[string]bool{}
	for _, c := range []struct {
		target  string
		sources []string
	}{
		{"203.0.113.7/32", []string{"203.0.113.7"}},
		{"198.51.100.0/24", []string{"198.51.100.1", "198.51.100.2"}},
		{"2001:db8::1/128", []string{"2001:db8::1"}},
		{"2001:db8:0:1::/64", []string{"2001:db8:0:1::1", "2001:db8:0:1::2"}},
	} {
		k.apply(a, banned(c.target, time.Now().Add(time.Hour)))
		a.flows.running.Wait()
		for _, source := range c.sources {
			deleted[source] = true
		}
		for _, source := range all {
			if (flows(source) == 0) != deleted[source] {
				t.Fatalf("after the ban of %s: %d flows of %s", c.target, flows(source), source)
			}
		}
	}
}
