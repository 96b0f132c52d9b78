//go:build kernel

package kernel

import (
	encoding "encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/golden"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A daemon is the running binary, on a log that the test writes.
type daemon struct {
	testing.TB
	dir  string
	cmd  *exec.Cmd
	log  *os.File // FreeSWITCH's
	said *golden.Output
	done chan error

	program string               // the binary; "": the one that was built
	sys     *syscall.SysProcAttr // user and capabilities; nil: root
	env     []string             // beside that of the test

	namespace *os.File // its network; nil: that of the test
}

// site declares one log and one firewall; rules are appended.
const site = `
source "log" "freeswitch" {
  path     = %q
  timezone = "UTC"
}
action "iptables" "drop" {
  %s
}
`

// atOnce bans at the first failure.
const atOnce = `
rule "at once" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure'"
  ban { for = "1h" }
}
`

// guessing bans at the fifth failure.
const guessing = `
rule "guessing" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure'"
  threshold {
    count  = 5
    within = "10m"
  }
  ban { for = "1h" }
}
`

// prepare makes the files of a daemon, and empties the firewall.
func prepare(t testing.TB, action, rules string) *daemon {
	t.Helper()
	clearFirewall(t)
	t.Cleanup(func() { clearFirewall(t) })
	d := &daemon{TB: t, dir: t.TempDir()}
	var err error
	if d.log, err = os.OpenFile(filepath.Join(d.dir, "freeswitch.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.log.Close() })
	if err := os.Mkdir(filepath.Join(d.dir, "rules.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.rules(action, rules)
	return d
}

// rules writes the rule file.
func (d *daemon) rules(action, rules string) {
	d.Helper()
	text := fmt.Sprintf(site, d.log.Name(), action) + rules
	if err := os.WriteFile(filepath.Join(d.dir, "rules.d", "rules.hcl"), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

func clearFirewall(t testing.TB) {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, args := range []string{"-F", "-X"} {
			if out, err := exec.Command(program, args).CombinedOutput(); err != nil {
				t.Fatalf("%s %s: %v: %s", program, args, err, out)
			}
		}
	}
	if out, err := exec.Command("ipset", "destroy").CombinedOutput(); err != nil {
		t.Fatalf("ipset destroy: %v: %s", err, out)
	}
}

// start starts the daemon and waits until it is ready.
func (d *daemon) start() *daemon {
	d.Helper()
	d.launch()
	eventually(d, 10*time.Second, "the daemon is ready", func() bool {
		select {
		case err := <-d.done:
			d.Fatalf("the daemon ended: %v\n%s", err, d.said)
		default:
		}
		return strings.Contains(d.said.String(), "msg=ready")
	})
	return d
}

// launch starts the daemon.
func (d *daemon) launch() {
	d.Helper()
	d.said = &golden.Output{}
	program := binary
	if d.program != "" {
		program = d.program
	}
	d.cmd = exec.Command(program, "run", "--rules", filepath.Join(d.dir, "rules.d"), "--state", filepath.Join(d.dir, "state"))
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	d.cmd.SysProcAttr, d.cmd.Env = d.sys, append(os.Environ(), d.env...)
	if err := within(d.namespace, d.cmd.Start); err != nil {
		d.Fatal(err)
	}
	done, cmd := make(chan error, 1), d.cmd
	d.done = done
	gone := make(chan struct{})
	go func() {
		done <- cmd.Wait()
		close(gone)
	}()
	d.Cleanup(func() {
		_ = cmd.Process.Kill() // usually it has ended
		<-gone
	})
}

// stop sends a signal and returns the time until the daemon ended.
func (d *daemon) stop(sig syscall.Signal) time.Duration {
	d.Helper()
	began := time.Now()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.Fatal(err)
	}
	err := <-d.done
	if sig != syscall.SIGKILL && err != nil {
		d.Fatalf("the daemon ended with %v\n%s", err, d.said)
	}
	return time.Since(began)
}

// failure is the log line of a failed registration, now.
func failure(ip string) string {
	return time.Now().UTC().Format("2006-01-02 15:04:05.000000") +
		" 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip " + ip + "\n"
}

// write appends to FreeSWITCH's log, in one write.
func (d *daemon) write(lines string) {
	d.Helper()
	if _, err := d.log.WriteString(lines); err != nil {
		d.Fatal(err)
	}
}

// memory returns a figure of the daemon's /proc/…/status, in MB.
func (d *daemon) memory(name string) float64 {
	d.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				d.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	d.Fatalf("no %s in status", name)
	return 0
}

// members returns the number of entries of the set of IPv4 bans; 0 without a set.
func members(t testing.TB) int {
	t.Helper()
	return membersOf(t, "freeswitch-blocked")
}

// membersOf returns the number of entries of a set; 0 without it.
func membersOf(t testing.TB, set string) int {
	t.Helper()
	return membersIn(t, nil, set)
}

// membersIn is membersOf in a network namespace. It asks the kernel itself: to start ipset every few
// milliseconds took a fifth of the two cores that the daemon was measured on.
func membersIn(t testing.TB, namespace *os.File, set string) (n int) {
	t.Helper()
	err := within(namespace, func() (err error) {
		n, err = askMembers(set)
		return err
	})
	if err != nil {
		return 0
	}
	return n
}

// The constants of ipset's netlink protocol, from linux/netfilter/ipset/ip_set.h.
const (
	ipsetList       = unix.NFNL_SUBSYS_IPSET<<8 | 7
	ipsetProtocol   = 1
	ipsetName       = 2
	ipsetFlags      = 6
	ipsetData       = 7
	ipsetElements   = 24     // in ipsetData
	ipsetHeaderOnly = 1 << 2 // in ipsetFlags
)

// askMembers returns the number of entries of a set; 0 if there is none of the name.
func askMembers(set string) (n int, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	body := netlink.NewAttributeEncoder()
	body.ByteOrder = encoding.BigEndian
	body.Uint8(ipsetProtocol, 6)
	body.String(ipsetName, set)
	body.Uint32(ipsetFlags|unix.NLA_F_NET_BYTEORDER, ipsetHeaderOnly)
	attributes, err := body.Encode()
	if err != nil {
		return 0, err
	}
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: ipsetList, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}, attributes...),
	})
	for _, answer := range answers {
		d, err := netlink.NewAttributeDecoder(answer.Data[4:])
		if err != nil {
			return 0, err
		}
		for d.Next() {
			if d.Type() == ipsetData {
				d.Nested(func(d *netlink.AttributeDecoder) error {
					d.ByteOrder = encoding.BigEndian
					for d.Next() {
						if d.Type() == ipsetElements {
							n = int(d.Uint32())
						}
					}
					return d.Err()
				})
			}
		}
		if err := d.Err(); err != nil {
			return 0, err
		}
	}
	return n, err
}

// inSet reports whether the set contains an address.
func inSet(ip string) bool {
	return exec.Command("ipset", "test", "freeswitch-blocked", ip).Run() == nil
}
