//go:build kernel

package kernel

import (
	encoding "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	roleVar        = "KERNEL_TEST_ROLE" // role of this process: "" outside, then switch, internet
	hostVar        = "KERNEL_TEST_HOST" // the network namespace outside
	switchAddress  = "10.77.0.10"
	gatewayAddress = "10.77.0.1"
	switchAddress6 = "fd77::10"
	sipPort        = 5060
)

// binary is the daemon, built once.
var binary string

// internet is the second namespace, in which every address can send.
var internet *os.File

func TestMain(m *testing.M) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		fail(err)
	}
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(outside(own))
	case "internet":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the switch ends
		os.Exit(0)
	case "hub":
		if err := beHub(os.Args[1]); err != nil {
			fail(err)
		}
		os.Exit(0)
	case "squatter": // listens, as its user, at a socket that was bound for it
		if err := unix.Listen(3, 1); err != nil {
			fail(err)
		}
		fmt.Println("listening")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	if own == os.Getenv(hostVar) {
		fail(fmt.Errorf("not in a network namespace of its own"))
	}
	dir, err := os.MkdirTemp("", "freeswitch-security-kernel-")
	if err != nil {
		fail(err)
	}
	binary = filepath.Join(dir, "freeswitch-security")
	build := exec.Command("go", "build", "-o", binary, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fail(fmt.Errorf("build: %w: %s", err, out))
	}
	if err := connect(); err != nil {
		fail(err)
	}
	code := m.Run()
	if !summary() {
		code = max(code, 1)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "kernel tests:", err)
	os.Exit(1)
}

// again returns this test binary in a network namespace of its own.
func again(role, host string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), roleVar+"="+role, hostVar+"="+host)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// outside runs the tests in a namespace and returns their exit status.
func outside(host string) int {
	if os.Geteuid() != 0 {
		fail(fmt.Errorf("must run as root"))
	}
	for _, name := range []string{"iptables", "ip6tables", "iptables-restore", "ipset", "ip", "conntrack", "setcap"} {
		if _, err := exec.LookPath(name); err != nil {
			fail(fmt.Errorf("%w: apt-get install iptables ipset iproute2 conntrack libcap2-bin", err))
		}
	}
	runtime.LockOSThread() // Pdeathsig is bound to the thread
	cmd := again("switch", host)
	if err := cmd.Run(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return exit.ExitCode()
		}
		fail(err)
	}
	return 0
}

// connect makes the second namespace and connects it to this one.
func connect() error {
	runtime.LockOSThread()
	cmd := again("internet", os.Getenv(hostVar))
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := fmt.Sprint(cmd.Process.Pid)
	var err error
	if internet, err = os.Open("/proc/" + pid + "/ns/net"); err != nil {
		return err
	}
	commands := []string{
		"ip link set lo up",
		"ip link add wan type veth peer name lan",
		"ip link set lan netns " + pid,
		"ip addr add " + switchAddress + "/24 dev wan",
		"ip addr add " + switchAddress6 + "/64 dev wan nodad",
		"ip link set wan up",
		"ip route add default via " + gatewayAddress,
		"ip -6 route add default via fd77::1",
	}
	enter := "nsenter -t " + pid + " -n "
	for _, c := range []string{
		"ip link set lo up",
		"ip addr add " + gatewayAddress + "/24 dev lan",
		"ip addr add fd77::1/64 dev lan nodad",
		"ip link set lan up",
		// Every address of these networks is local.
		"ip route add local 198.18.0.0/15 dev lo",
		"ip route add local 203.0.113.0/24 dev lo",
		"ip -6 route add local 2001:db8::/32 dev lo",
	} {
		commands = append(commands, enter+c)
	}
	for _, c := range commands {
		words := strings.Fields(c)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, out)
		}
	}
	return nil
}

// within calls do on a thread in a network namespace; nil is this one.
func within(namespace *os.File, do func() error) error {
	if namespace == nil {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// dial returns a socket in the second namespace that sends from an address to
// the SIP port of the switch.
func dial(t testing.TB, from string) net.Conn {
	t.Helper()
	if strings.Contains(from, ":") {
		return dialTo(t, from, switchAddress6)
	}
	return dialTo(t, from, switchAddress)
}

// dialTo is dial to the SIP port of a host.
func dialTo(t testing.TB, from, to string) (conn net.Conn) {
	t.Helper()
	err := within(internet, func() (err error) {
		conn, err = net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.ParseIP(to), Port: sipPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// An ear records the packets that reach the SIP port.
type ear struct {
	mu   sync.Mutex // guards all
	last map[netip.Addr]time.Time
	n    map[netip.Addr]int
}

func listen(t testing.TB) *ear {
	t.Helper()
	return listenIn(t, nil)
}

// listenIn listens in a network namespace.
func listenIn(t testing.TB, namespace *os.File) *ear {
	t.Helper()
	var conn *net.UDPConn
	err := within(namespace, func() (err error) {
		conn, err = net.ListenUDP("udp", &net.UDPAddr{Port: sipPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(8 << 20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	// The kernel stamps each packet: this process may read it much later on a busy machine.
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var setting error
	if err := raw.Control(func(fd uintptr) { setting = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }); err != nil || setting != nil {
		t.Fatal(err, setting)
	}
	e := &ear{last: map[netip.Addr]time.Time{}, n: map[netip.Addr]int{}}
	go func() {
		var buffer [64]byte
		var control [128]byte
		for {
			_, n, _, from, err := conn.ReadMsgUDPAddrPort(buffer[:], control[:])
			if err != nil {
				return
			}
			arrived, ok := stampOf(control[:n])
			if !ok {
				arrived = time.Now()
			}
			e.mu.Lock()
			e.last[from.Addr().Unmap()] = arrived
			e.n[from.Addr().Unmap()]++
			e.mu.Unlock()
		}
	}()
	return e
}

// stampOf returns the kernel's stamp of a packet.
func stampOf(control []byte) (time.Time, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(encoding.NativeEndian.Uint64(m.Data)), int64(encoding.NativeEndian.Uint64(m.Data[8:]))), true
		}
	}
	return time.Time{}, false
}

// heard returns the number of packets of an address, and the time of the last.
func (e *ear) heard(from string) (n int, last time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := netip.MustParseAddr(from)
	return e.n[a], e.last[a]
}

// chatter sends packets from an address until stop is called.
func chatter(t testing.TB, from string, interval time.Duration) (stop func()) {
	t.Helper()
	conn := dial(t, from)
	return every(interval, func() { _, _ = conn.Write([]byte("x")) }) // fails until the port is open
}

// every calls do in each interval until it is stopped.
func every(interval time.Duration, do func()) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				do()
			}
		}
	})
	return func() {
		close(end)
		done.Wait()
	}
}

// paced does so many units a second until it is stopped. do is given the number that is due, and
// returns the number that it did.
func paced(perSecond int, do func(due int) int) (stop func()) {
	began, n := time.Now(), 0
	return every(time.Millisecond, func() {
		n += do(int(time.Since(began).Seconds()*float64(perSecond)) - n)
	})
}

// eventually waits for a condition.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	watching(t, within, time.Millisecond, what, ok)
}

// watching waits for a condition, which it checks in each interval: starting a program for each
// check takes processor time from the daemon. With slack it waits up to a minute longer.
func watching(t testing.TB, within, every time.Duration, what string, ok func() bool) {
	t.Helper()
	within = min(most(within), within+time.Minute)
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		pause(every)
	}
}

// pause waits.
func pause(d time.Duration) { <-time.After(d) }
