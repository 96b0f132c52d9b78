//go:build kernel

package iptables

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

// A talker is a socket in the attackers' namespace, connected to a switch that echoes.
type talker struct {
	net.Conn
	answers chan struct{} // has one value for each answer
}

// talker opens the socket of an endpoint.
func (w *wire) talker(target ban.Target) *talker {
	w.k.Helper()
	from, protocol, _ := target.Endpoint()
	to := netip.AddrPortFrom(w.switch4.Addr(), echoPort)
	if from.Addr().Is6() {
		to = netip.AddrPortFrom(w.switch6.Addr(), echoPort)
	}
	talks := &talker{answers: make(chan struct{}, 1000)}
	err := w.within(func() (err error) {
		dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}
		if protocol == ban.TCP {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
		}
		talks.Conn, err = dialer.Dial(protocol.String(), to.String())
		return err
	})
	if err != nil {
		w.k.Fatalf("%s: %v", target, err)
	}
	w.k.Cleanup(func() { talks.Close() })
	go func() {
		for buf := make([]byte, 64); ; talks.answers <- struct{}{} {
			if _, err := talks.Read(buf); err != nil {
				return
			}
		}
	}()
	return talks
}

// drain forgets the answers so far.
func (c *talker) drain() {
	for len(c.answers) > 0 {
		<-c.answers
	}
}

// answered reports whether the switch answers.
func (c *talker) answered() bool {
	c.drain()
	_, _ = c.Write([]byte("echo"))
	select {
	case <-c.answers:
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

const echoPort = 5070

// echo answers what arrives at the switch over UDP and TCP.
func (w *wire) echo(addr netip.Addr) {
	w.k.Helper()
	at := netip.AddrPortFrom(addr, echoPort)
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		w.k.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		w.k.Fatal(err)
	}
	w.k.Cleanup(func() { udp.Close(); tcp.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
		}
	}()
}

// An endpointTest has senders that are banned by their endpoints, and others that differ
// from one of them in the port, the address or the protocol.
type endpointTest struct {
	*kernel
	action *Action
	bans   []ban.Ban // of the endpoints, then of others
	banned map[ban.Target]*talker
	others map[ban.Target]*talker
}

func newEndpointTest(k *kernel, w *wire) *endpointTest {
	e := &endpointTest{kernel: k, banned: map[ban.Target]*talker{}, others: map[ban.Target]*talker{}}
	others := map[ban.Protocol]ban.Protocol{ban.TCP: ban.UDP, ban.UDP: ban.TCP}
	for _, text := range []string{"203.0.113.7:5061/udp", "203.0.113.7:5062/tcp", "[2001:db8:bad::7]:5061/udp", "[2001:db8:bad::7]:5062/tcp"} {
		b := banOf(text, time.Now().Add(time.Hour))
		e.bans, e.banned[b.Target] = append(e.bans, b), w.talker(b.Target)
		from, protocol, _ := b.Target.Endpoint()
		for _, other := range []ban.Target{
			ban.Endpoint(netip.AddrPortFrom(from.Addr(), from.Port()+10), protocol),
			ban.Endpoint(netip.AddrPortFrom(from.Addr().Next(), from.Port()), protocol),
			ban.Endpoint(from, others[protocol]),
		} {
			e.others[other] = w.talker(other)
		}
	}
	e.bans = append(e.bans, many(50, time.Now().Add(time.Hour))...)
	return e
}

// dropped returns the packets that were dropped of each banned target.
func (e *endpointTest) dropped() map[ban.Target]uint64 {
	e.Helper()
	in, err := e.action.Inspect(e.Context())
	if err != nil || len(in.Problems)+len(in.Foreign) > 0 || len(in.Entries) != len(e.bans) {
		e.Fatalf("%d entries, %q, foreign %q, %v", len(in.Entries), in.Problems, in.Foreign, err)
	}
	packets := map[ban.Target]uint64{}
	for _, entry := range in.Entries {
		packets[entry.Target] = entry.Packets
	}
	return packets
}

// inForce expects the packets of the banned to be dropped, and all others to be answered.
func (e *endpointTest) inForce(when string) {
	e.Helper()
	e.quiet(e.action, e.bans...)
	for target, c := range e.others {
		if !c.answered() {
			e.Errorf("%s: %s is not answered", when, target)
		}
	}
	before := e.dropped()
	for target, c := range e.banned {
		c.drain()
		_, _ = c.Write([]byte("echo"))
		for deadline := time.Now().Add(20 * time.Second); e.dropped()[target] == before[target]; {
			if time.Now().After(deadline) {
				e.Fatalf("%s: no packet of %s was dropped", when, target)
			}
		}
		if len(c.answers) > 0 {
			e.Errorf("%s: %s is answered", when, target)
		}
	}
}

// TestKernelEndpoints sends from banned endpoints, and from others that differ from them,
// through the ban, a restart, damage, and the end of the ban.
func TestKernelEndpoints(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		w := newWire(k)
		w.echo(w.switch4.Addr())
		w.echo(w.switch6.Addr())
		for _, addr := range []string{"203.0.113.7", "203.0.113.8", "2001:db8:bad::7", "2001:db8:bad::8"} {
			w.attacker(addr)
		}
		e := newEndpointTest(k, w)
		for _, backend := range []string{backendRules, backendSet} {
			e.through(`backend = "` + backend + `"`)
			if err := e.action.Withdraw(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left := k.sh("ipset", "list", "-n"); left != "" || len(k.chain("iptables")) > 0 {
				t.Errorf("left: sets %q, chain %q", left, k.chain("iptables"))
			}
		}
	})
}

func (e *endpointTest) through(body string) {
	n := len(e.banned)
	e.action = e.kernel.action(body)
	e.resync(e.action, e.bans[n:]...)
	for target, c := range e.banned {
		if !c.answered() {
			e.Fatalf("%s: %s is not answered before its ban", body, target)
		}
	}
	var changes []ban.Change
	for _, b := range e.bans[:n] {
		changes = append(changes, bannedBan(b))
	}
	e.apply(e.action, changes...)
	e.inForce(body)

	e.action = e.kernel.action(body)
	e.inForce(body + ", restarted")

	e.iptables("-F")
	e.ip6tables("-F")
	e.try("ipset", "flush")
	if d := e.resync(e.action, e.bans...); !d.Any() {
		e.Error("no drift was reported")
	}
	e.inForce(body + ", repaired")

	for i := range changes {
		changes[i].Kind = ban.KindExpire
	}
	e.apply(e.action, changes...)
	e.quiet(e.action, e.bans[n:]...)
	for target, c := range e.banned {
		if !c.answered() {
			e.Errorf("%s: %s is not answered after its ban", body, target)
		}
	}
	if out := e.sh("ipset", "list", "-n"); len(fieldsOf(out, "freeswitch-ports")) > 0 {
		e.Errorf("the set of endpoints exists without one: %s", out)
	}
}

// TestKernelEndpointFlows: of the flows of an address, only those of the banned endpoint
// are deleted.
func TestKernelEndpointFlows(t *testing.T) {
	k := newKernel(t, "nft")
	k.Cleanup(func() { k.sh("conntrack", "-F") })
	a := k.action("")
	k.resync(a)
	for _, source := range []string{"203.0.113.7", "2001:db8::7"} {
		to, family := "192.0.2.200", "ipv4"
		if strings.Contains(source, ":") {
			to, family = "2001:db8:ffff::1", "ipv6"
		}
		flows := map[string]string{} // endpoint → how conntrack lists it
		for _, protocol := range []string{"udp", "tcp"} {
			for _, port := range []string{"5060", "5061"} {
				state := []string{"-I", "-p", protocol, "-s", source, "-d", to, "--sport", port, "--dport", "5060", "-t", "300"}
				if protocol == "tcp" {
					state = append(state, "--state", "ESTABLISHED")
				}
				k.sh("conntrack", state...)
				flows[net.JoinHostPort(source, port)+"/"+protocol] = "-p " + protocol + " --orig-port-src " + port
			}
		}
		for len(flows) > 0 {
			for endpoint := range flows {
				k.apply(a, banned(endpoint, time.Time{}))
				a.flows.running.Wait()
				delete(flows, endpoint)
				break
			}
			if left := len(fieldsOf(k.sh("conntrack", "-L", "-f", family, "-s", source), "src="+source)); left != len(flows) {
				t.Fatalf("%d flows of %s are left; want %d", left, source, len(flows))
			}
			for endpoint, match := range flows {
				out := k.sh("conntrack", append([]string{"-L", "-f", family, "-s", source}, strings.Fields(match)...)...)
				if len(fieldsOf(out, "src="+source)) != 1 {
					t.Fatalf("the flow of %s is gone", endpoint)
				}
			}
		}
	}
}
