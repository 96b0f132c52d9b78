package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	switchAddress  = "10.77.0.10"
	gatewayAddress = "10.77.0.1"
	sipPort        = 5060
	sendEvery      = 10 * time.Millisecond
)

// inNamespace is this program again, in a new network namespace that ends with
// it.
func inNamespace(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// ip runs one command of iproute2.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// all runs several, up to the first that fails.
func all(commands ...string) error {
	for _, c := range commands {
		if err := ip(strings.Fields(c)...); err != nil {
			return err
		}
	}
	return nil
}

// openSwitch makes this namespace that of the switch: it starts the Internet,
// ties both together, and listens on the SIP port.
func openSwitch(ctx context.Context) (*ear, error) {
	cmd := inNamespace("internet")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		<-ctx.Done()
		cmd.Process.Kill()
	}()
	err := all(
		"link set lo up",
		"link add wan type veth peer name lan",
		fmt.Sprint("link set lan netns ", cmd.Process.Pid),
		"addr add "+switchAddress+"/24 dev wan",
		"link set wan up",
		"route add default via "+gatewayAddress,
	)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(switchAddress), Port: sipPort})
	if err != nil {
		return nil, err
	}
	e := &ear{heard: map[string]int{}}
	go e.listen(conn)
	return e, nil
}

// internet is the other namespace: it sends packets from the watched attacker's
// address for as long as it lives.
func internet(ctx context.Context) error {
	for ip("link", "show", "lan") != nil { // until the switch has tied us to it
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := all("link set lo up", "addr add "+gatewayAddress+"/24 dev lan", "addr add "+watched+"/32 dev lan", "link set lan up"); err != nil {
		return err
	}
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(watched)}, &net.UDPAddr{IP: net.ParseIP(switchAddress), Port: sipPort})
	if err != nil {
		return err
	}
	tick := time.NewTicker(sendEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// Nobody listens at first: the answer to that is no reason to stop.
			_, _ = conn.Write([]byte("attack"))
		}
	}
}

// An ear counts the packets that get through to the switch, by sender.
type ear struct {
	mu    sync.Mutex // guards heard
	heard map[string]int
}

func (e *ear) listen(conn *net.UDPConn) {
	var buffer [64]byte
	for {
		_, from, err := conn.ReadFromUDPAddrPort(buffer[:])
		if err != nil {
			return
		}
		e.mu.Lock()
		e.heard[from.Addr().String()]++
		e.mu.Unlock()
	}
}

// count is how many packets of a sender have arrived.
func (e *ear) count(from string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[from]
}
