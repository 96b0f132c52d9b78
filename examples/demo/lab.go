package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	sendEvery = time.Millisecond // of the watched attacker
	sendRound = 200              // packets of it for each packet of the others
	silence   = 5                // rounds after which an address counts as dropped
)

// watched is an attacker of the recording that guesses a password by REGISTER.
var watched = netip.MustParseAddr("203.0.113.45")

// inNamespace returns this program in a new network namespace, which ends with it.
func inNamespace(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// ip runs commands of iproute2, one on a line.
func ip(commands string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(commands)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, out)
	}
	return nil
}

// A sipPort has what was seen at the SIP port of each sender.
type sipPort struct {
	senders sync.Map
	round   atomic.Int64 // of the last packet
}

type sighting struct {
	packets int
	round   int64 // of the last one
	last    time.Time
}

// from returns what was seen of a sender.
func (p *sipPort) from(ip netip.Addr) sighting {
	s, _ := p.senders.Load(ip)
	seen, _ := s.(sighting)
	return seen
}

// settle waits until banned addresses have been silent for long enough. It counts rounds, because time
// also passes while a busy machine sends nothing.
func (p *sipPort) settle(ctx context.Context) {
	for end := p.round.Load() + silence + 2; p.round.Load() < end && ctx.Err() == nil; {
		time.Sleep(sendEvery)
	}
}

// drops reports whether the packets of an address no longer arrive.
func (p *sipPort) drops(ip netip.Addr) bool { return p.round.Load()-p.from(ip).round >= silence }

func (p *sipPort) listen(conn *net.UDPConn) {
	var buffer [64]byte
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer[:])
		if err != nil {
			return
		}
		ip := from.Addr().Unmap()
		round, _ := strconv.ParseInt(string(buffer[:n]), 10, 64)
		p.round.Store(round)
		p.senders.Store(ip, sighting{p.from(ip).packets + 1, round, time.Now()})
	}
}

// openSwitch makes this namespace that of the switch: it starts the Internet, connects both, and
// waits until packets of all addresses reach the SIP port.
func openSwitch(ctx context.Context, known truth) (*sipPort, error) {
	cmd := inNamespace("internet")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := ip(fmt.Sprintf(`link set lo up
		link add wan type veth peer name lan
		link set lan netns %d
		addr add 10.77.0.10/24 dev wan
		addr add fd77::10/64 dev wan nodad
		link set wan up
		route add default via 10.77.0.1
		route add default via fd77::1`, cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: 5060})
	if err != nil {
		return nil, err
	}
	p := &sipPort{}
	go p.listen(conn)
	for from := range known {
		for ; p.from(from).packets == 0; time.Sleep(sendEvery) {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s does not reach the SIP port before the attack", from)
			}
		}
	}
	fmt.Printf("Before the attack, packets of all %d addresses reach the SIP port.\n\n", len(known))
	return p, nil
}

// internet is the other namespace: it sends packets from all addresses until it is killed.
func internet(known truth) error {
	for ip("link show lan") != nil { // until the switch has moved it here
		time.Sleep(10 * time.Millisecond)
	}
	setup := `link set lo up
		addr add 10.77.0.1/24 dev lan
		addr add fd77::1/64 dev lan nodad
		link set lan up`
	for from := range known {
		setup += fmt.Sprintf("\naddr add %s dev lo nodad", from)
	}
	if err := ip(setup); err != nil {
		return err
	}
	senders := map[netip.Addr]net.Conn{}
	for from := range known {
		to := netip.MustParseAddrPort("10.77.0.10:5060")
		if from.Is6() {
			to = netip.MustParseAddrPort("[fd77::10]:5060")
		}
		conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		senders[from] = conn
	}
	for n := 0; ; n++ {
		time.Sleep(sendEvery)
		packet := strconv.AppendInt(nil, int64(n/sendRound), 10)
		for from, conn := range senders {
			if from == watched || n%sendRound == 0 {
				conn.Write(packet) // fails until the switch listens
			}
		}
	}
}
