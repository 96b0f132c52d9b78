//go:build kernel

package kernel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// samples has the configuration of a server and of three guards.
const samples = "../../../examples/fleet/"

// serverAddress is in this namespace; the guards are next to it on a bridge, each in its own one.
const serverAddress = "10.78.0.1"

// A member is a guard of a fleet, with a switch in a network namespace of its own.
type member struct {
	*daemon
	address string
	socket  string // of its HTTP API
	ear     *ear
}

// TestFleetLatency has one guard of three ban attackers that send to all three switches, and
// measures the time from their last packet at this switch to the last one at each of the others.
func TestFleetLatency(t *testing.T) {
	_, fleet := startFleet(t, ``)
	attackers := 10
	if slack() == 1 {
		attackers = 50
	}
	holdLatency(t, fleetLatency, func(run int) (beyond []time.Duration) {
		for i := range attackers {
			took := silencedAt(t, fleet, attackerOf(run, i))
			beyond = append(beyond, took[1:]...)
		}
		return beyond
	})
	if said := fleet[1].said.String(); !strings.Contains(said, "peer sbc1") {
		t.Errorf("the log of sbc2 does not name the node that decided:\n%s", said)
	}
}

// TestFleetManyBans has one guard of three ban 10,000 addresses at once.
func TestFleetManyBans(t *testing.T) {
	const bans = 10_000
	hub, fleet := startFleet(t, `backend = "ipset"`)
	lines := burst(bans, 1)
	spent := spending(hub, fleet)
	began := time.Now()
	fleet[0].write(lines)
	for _, m := range fleet { // to look costs more than a millisecond of processor time
		watching(t, 20*time.Second, 25*time.Millisecond, "all are in the kernel", func() bool { return membersIn(t, m.namespace, "freeswitch-blocked") >= bans })
		t.Logf("%d bans are in the kernel at %s after %s", bans, m.address, time.Since(began).Round(time.Millisecond))
	}
	took := milliseconds(time.Since(began))
	spent()
	hold(t, fleetBans, took)
}

// spending returns a function that logs the processor time that each program of a fleet has used since.
func spending(h *hub, fleet []*member) (log func()) {
	programs := []*daemon{{TB: h, cmd: h.cmd}}
	for _, m := range fleet {
		programs = append(programs, m.daemon)
	}
	var before []time.Duration
	for _, d := range programs {
		before = append(before, d.cpu())
	}
	return func() {
		h.Helper()
		var took []string
		for i, d := range programs {
			took = append(took, (d.cpu() - before[i]).Round(time.Millisecond).String())
		}
		h.Logf("processor time of the server: %s, of the guards: %s", took[0], strings.Join(took[1:], ", "))
	}
}

// TestFleetJoiner starts a guard that knows nothing in a fleet with 100,000 bans.
func TestFleetJoiner(t *testing.T) {
	bans := 100_000
	if slack() > 1 {
		bans = 10_000
	}
	_, fleet := startFleet(t, `backend = "ipset"`)
	for _, m := range fleet[1:] {
		m.stop(syscall.SIGTERM) // it gives its name back
	}
	fleet[0].write(burst(bans, 1))
	teller, joiner := askingAt(t, fleet[0].socket), fleet[2]
	watching(t, 30*time.Second, 100*time.Millisecond, "all is told", func() bool {
		var s struct{ Fleet struct{ Records, Unsent int } }
		teller.does("GET", "/security/status", "", &s)
		return s.Fleet.Records == bans && s.Fleet.Unsent == 0
	})
	if err := os.RemoveAll(filepath.Join(joiner.dir, "state")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	joiner.start()
	watching(t, 10*time.Second, 10*time.Millisecond, "it joins", func() bool { return strings.Contains(joiner.said.String(), `msg="fleet joined"`) })
	t.Logf("joined after %s", time.Since(began).Round(time.Millisecond))
	watching(t, 20*time.Second, 10*time.Millisecond, "all are in its kernel", func() bool { return membersIn(t, joiner.namespace, "freeswitch-blocked") >= bans })
	if bans == 100_000 {
		hold(t, fleetJoiner, milliseconds(time.Since(began)))
	}
}

// silencedAt has an attacker send to all switches and fail at the first one. It returns how much later
// than there its last packet arrived at each of them.
func silencedAt(t testing.TB, fleet []*member, ip string) (later []time.Duration) {
	t.Helper()
	for _, m := range fleet {
		conn := dialTo(t, ip, m.address)
		defer every(2*grain, func() { _, _ = conn.Write([]byte("x")) })() // fails until the port is open
	}
	for _, m := range fleet {
		eventually(t, 5*time.Second, "packets of "+ip+" arrive at "+m.address, func() bool { n, _ := m.ear.heard(ip); return n > 2 })
	}
	fleet[0].write(failure(ip))
	var first time.Time
	for i, m := range fleet {
		var last time.Time
		eventually(t, 5*time.Second, ip+" is silent at "+m.address, func() bool {
			_, last = m.ear.heard(ip)
			return time.Since(last) > 100*time.Millisecond
		})
		if i == 0 {
			first = last
		}
		later = append(later, max(0, last.Sub(first)))
	}
	return later
}

// startFleet starts the server and the guards of examples/fleet, which ban at the first failure and have
// an HTTP API on a socket, and waits until all have joined.
func startFleet(t *testing.T, action string) (s *hub, fleet []*member) {
	t.Helper()
	own := bridge(t)
	s = serve(t)
	for i := range 3 {
		m := &member{address: fmt.Sprintf("10.78.0.%d", 11+i), socket: adminSocket(t)}
		m.daemon = prepare(t, action, atOnce+fmt.Sprintf(onSocket, m.socket))
		m.namespace = networkOf(t)
		attach(t, own, m.namespace, fmt.Sprintf("sbc%d", i+1), m.address)
		run(t, m.namespace, "ip route add default via "+serverAddress)
		sample := strings.NewReplacer("192.0.2.10", serverAddress, "/etc/freeswitch-security/tls/nats-ca.crt", os.Getenv("NATS_CA")).
			Replace(read(t, fmt.Sprintf("%ssbc%d.hcl", samples, i+1)))
		if err := os.WriteFile(filepath.Join(m.dir, "rules.d", "fleet.hcl"), []byte(sample), 0o600); err != nil {
			t.Fatal(err)
		}
		m.env = []string{"NATS_PASSWORD=" + os.Getenv(fmt.Sprintf("SBC%d_PASSWORD", i+1))}
		m.start()
		m.ear = listenIn(t, m.namespace)
		fleet = append(fleet, m)
	}
	for _, m := range fleet {
		watching(t, 10*time.Second, 10*time.Millisecond, m.address+" joins", func() bool { return strings.Contains(m.said.String(), `msg="fleet joined"`) })
	}
	return s, fleet
}

// A hub is the NATS server, in a process of its own.
type hub struct {
	testing.TB
	config string
	cmd    *exec.Cmd // nil: it does not run
}

// serve starts the server of examples/fleet, and sets the passwords and the path of the certificate
// in the environment.
func serve(t *testing.T) *hub {
	t.Helper()
	dir := t.TempDir()
	certify(t, filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	t.Setenv("NATS_CA", filepath.Join(dir, "server.crt"))
	for i := range 3 {
		t.Setenv(fmt.Sprintf("SBC%d_PASSWORD", i+1), fmt.Sprintf("p%d-of-sbc%d", 7*i, i+1))
	}
	text := strings.NewReplacer("/etc/nats", dir, "/var/lib/nats", filepath.Join(dir, "store"), "0.0.0.0", serverAddress).Replace(read(t, samples+"nats-server.conf"))
	path := filepath.Join(dir, "nats-server.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &hub{TB: t, config: path}
	h.start()
	t.Cleanup(h.kill)
	return h
}

// start starts the server unless it runs, and waits until it accepts connections.
func (h *hub) start() {
	h.Helper()
	if h.cmd != nil {
		return
	}
	h.cmd = exec.Command("/proc/self/exe", h.config)
	h.cmd.Env = append(os.Environ(), roleVar+"=hub")
	h.cmd.Stdout, h.cmd.Stderr = os.Stdout, os.Stderr
	if _, err := h.cmd.StdinPipe(); err != nil {
		h.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		h.Fatal(err)
	}
	eventually(h, 10*time.Second, "the server accepts connections", func() bool {
		conn, err := net.Dial("tcp", serverAddress+":4222")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends the server with SIGKILL.
func (h *hub) kill() {
	if h.cmd != nil {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
		h.cmd = nil
	}
}

// beHub is the server, until the test ends.
func beHub(config string) error {
	options, err := server.ProcessConfigFile(config)
	if err != nil {
		return err
	}
	options.NoLog, options.NoSigs = true, true
	one, err := server.NewServer(options)
	if err != nil {
		return err
	}
	one.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// certify makes a certificate of the server, which is its own authority.
func certify(t testing.TB, crt, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(serverAddress)}, BasicConstraintsValid: true, IsCA: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, one, one, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{crt: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: plain}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// bridge makes a bridge in this namespace, with the server's address and the second namespace at it,
// and returns this namespace.
func bridge(t testing.TB) *os.File {
	t.Helper()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	run(t, nil, "ip link add fleet type bridge", "ip addr add "+serverAddress+"/24 dev fleet", "ip link set fleet up")
	t.Cleanup(func() {
		run(t, nil, "ip link del fleet")
		own.Close()
	})
	attach(t, own, internet, "world", "10.78.0.2")
	return own
}

// networkOf makes a network namespace, which ends with the test and its programs.
func networkOf(t testing.TB) (namespace *os.File) {
	t.Helper()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	err = within(own, func() (err error) { // on a thread that ends
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			namespace, err = os.Open("/proc/thread-self/ns/net")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { namespace.Close() })
	run(t, namespace, "ip link set lo up")
	return namespace
}

// attach connects a namespace to the bridge.
func attach(t testing.TB, hub, namespace *os.File, name, address string) {
	t.Helper()
	run(t, namespace,
		fmt.Sprintf("ip link add %s type veth peer name at-%s netns /proc/%d/fd/%d", name, name, os.Getpid(), hub.Fd()),
		fmt.Sprintf("ip addr add %s/24 dev %s", address, name), "ip link set "+name+" up")
	run(t, nil, "ip link set at-"+name+" master fleet up")
	t.Cleanup(func() { run(t, nil, "ip link del at-"+name) })
}

// run runs commands in a network namespace.
func run(t testing.TB, namespace *os.File, commands ...string) {
	t.Helper()
	for _, c := range commands {
		words := strings.Fields(c)
		var out []byte
		err := within(namespace, func() (err error) {
			out, err = exec.Command(words[0], words[1:]...).CombinedOutput()
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v: %s", c, err, out)
		}
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
