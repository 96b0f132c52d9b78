//go:build kernel && firewalls

package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/golden"
)

// Other programs own a firewall too. Each test installs one from Debian's packages in a layer above the
// root file system, which ends with the test, and runs it in the network of the tests.
//
// The commands are those of examples/firewalls/README.md, where it has them.

// A neighbour is a program that changes the firewall.
type neighbour struct {
	name, packages string
	config         map[string]string // its files, by path
	setup          []string          // commands that start it
	steps          []string          // what is done with it under attack
	opens          bool              // it closes the SIP port until a step opens it
	gap            time.Duration     // for so long packets of a banned address may pass in each step
	end            []string          // commands that end it
	mark           string            // what all of its own rules have in common
}

var neighbours = []neighbour{
	{
		name: "ufw", packages: "ufw",
		setup: []string{"ufw --force enable"},
		steps: []string{"ufw allow 5060/udp", "ufw reload", "ufw disable", "ufw --force enable", "ufw allow from 192.0.2.10 to any port 9443 proto tcp", "ufw reload"},
		opens: true,
		end:   []string{"ufw --force reset"},
		mark:  "ufw-",
	},
	{
		name: "firewalld with nftables", packages: "firewalld",
		setup: []string{"mkdir -p /run/dbus", "dbus-daemon --system --fork", "firewalld", waitForFirewalld},
		steps: []string{
			"firewall-cmd --permanent --add-port=5060/udp && firewall-cmd --reload",
			`firewall-cmd --permanent --add-rich-rule='rule family="ipv4" source address="192.0.2.10" port port="9443" protocol="tcp" accept'`,
			"firewall-cmd --reload", "firewall-cmd --complete-reload",
		},
		opens: true,
		gap:   time.Second / 4,
		end:   []string{endFirewalld},
	},
	{
		name: "firewalld with iptables", packages: "firewalld",
		setup: []string{
			"sed -i s/^FirewallBackend=.*/FirewallBackend=iptables/ /etc/firewalld/firewalld.conf",
			"mkdir -p /run/dbus", "dbus-daemon --system --fork", "firewalld", waitForFirewalld,
		},
		steps: []string{
			"firewall-cmd --permanent --add-port=5060/udp && firewall-cmd --reload", "firewall-cmd --reload", "firewall-cmd --complete-reload",
			// The chain is declared in firewalld as well, which is a mistake, and this is corrected.
			"firewall-cmd --permanent --direct --add-chain ipv4 filter FREESWITCH && firewall-cmd --permanent --direct --add-rule ipv4 filter INPUT 0 -j FREESWITCH",
			"firewall-cmd --reload || true",
			undeclare, endFirewalld + "; firewalld; " + waitForFirewalld + "; test $(firewall-cmd --state 2>&1) = running",
		},
		opens: true,
		gap:   time.Second / 4,
		end:   []string{endFirewalld},
		mark:  "IN_public",
	},
	{
		name: "iptables-persistent", packages: "iptables-persistent",
		setup: []string{"iptables -A INPUT -p tcp --dport 22 -j ACCEPT", "ip6tables -A INPUT -p tcp --dport 22 -j ACCEPT"},
		steps: []string{saveRules, "netfilter-persistent start", flushRules, "netfilter-persistent reload"},
		gap:   time.Second / 4,
		end:   []string{flushRules},
		mark:  "--dport 22",
	},
	{
		name: "fail2ban", packages: "fail2ban",
		config: map[string]string{
			"/etc/fail2ban/jail.d/defaults-debian.conf": "",
			"/etc/fail2ban/jail.local": "[freeswitch]\nenabled = true\nbackend = polling\nlogpath = /var/log/freeswitch.log\nmaxretry = 1\n" +
				"banaction = iptables-allports\nbantime = 1h\n",
			"/var/log/freeswitch.log": "",
		},
		setup: []string{"fail2ban-client start", "fail2ban-client set freeswitch banip 198.18.9.9" + jailed},
		steps: []string{"fail2ban-client reload" + jailed, "fail2ban-client unban --all", "fail2ban-client set freeswitch banip 198.18.9.9", "fail2ban-client restart" + jailed},
		end:   []string{"fail2ban-client stop"},
		mark:  "f2b-",
	},
}

const (
	waitForFirewalld = "for i in $(seq 300); do firewall-cmd --state && break; sleep 0.1; done"
	endFirewalld     = "pkill -x firewalld; while pgrep -x firewalld; do sleep 0.1; done"
	undeclare        = "firewall-offline-cmd --direct --remove-rule ipv4 filter INPUT 0 -j FREESWITCH\n" +
		"firewall-offline-cmd --direct --remove-chain ipv4 filter FREESWITCH"
	// jailed waits until the address is in the firewall: fail2ban-client does not.
	jailed    = "; for i in $(seq 300); do iptables -S | grep -q 'f2b-freeswitch-udp.*198.18.9.9' && break; sleep 0.1; done"
	saveRules = "iptables-save  | grep -v FREESWITCH > /etc/iptables/rules.v4\nip6tables-save | grep -v FREESWITCH > /etc/iptables/rules.v6"
	// flushRules fails if the guard has put back its chain before iptables -X is called.
	flushRules = "netfilter-persistent flush || true"
)

// TestBesideFirewalls has a banned address send 200 packets a second while another program changes the
// firewall, and a new attacker come each time. Then each of the two programs is removed: the rules of the
// other stay.
func TestBesideFirewalls(t *testing.T) {
	for _, n := range neighbours {
		t.Run(n.name, func(t *testing.T) {
			d := prepare(t, ``, atOnce)
			o := install(t, n)
			for _, command := range n.setup {
				o.run(command)
			}
			b := &besides{daemon: d.start(), neighbour: n, layered: o, ear: listen(t)}
			b.attacker = address(0)
			defer chatter(t, b.attacker, 5*time.Millisecond)()
			b.ban(b.attacker)
			if !n.opens {
				defer b.reaches("203.0.113.1")
			}
			for i, command := range n.steps {
				b.step(command, address(i+1))
			}
			if n.opens {
				b.reaches("203.0.113.1")
			}
			b.removeGuard()
			b.removeOther()
		})
	}
}

// besides is a guard beside another program, under attack.
type besides struct {
	*daemon
	neighbour
	*layered
	ear      *ear
	attacker string // banned
}

// dropped reports whether a ban is in the kernel, and INPUT jumps to it.
func dropped(ip string) bool {
	return (inSet(ip) || exec.Command("iptables", "-C", "FREESWITCH", "-s", ip, "-j", "DROP").Run() == nil) &&
		exec.Command("iptables", "-C", "INPUT", "-j", "FREESWITCH").Run() == nil
}

func (b *besides) ban(ip string) {
	b.daemon.Helper()
	b.write(failure(ip))
	eventually(b.daemon, 5*time.Second, ip+" is banned", func() bool { return dropped(ip) })
}

// silent waits until no packet of an address has passed for a second.
func (b *besides) silent(ip string) {
	b.daemon.Helper()
	eventually(b.daemon, 10*time.Second, "silence of "+ip, func() bool {
		n, last := b.ear.heard(ip)
		return n == 0 || time.Since(last) > time.Second
	})
}

// reaches checks that a packet of an honest address passes.
func (b *besides) reaches(ip string) {
	b.daemon.Helper()
	conn := dial(b.daemon, ip)
	eventually(b.daemon, 5*time.Second, "a packet of "+ip+" passes", func() bool {
		_, _ = conn.Write([]byte("x"))
		n, _ := b.ear.heard(ip)
		return n > 0
	})
}

// step runs a command of the other program, during which another address attacks.
func (b *besides) step(command, attacker string) {
	b.daemon.Helper()
	before, _ := b.ear.heard(b.attacker)
	began := time.Now()
	b.write(failure(attacker))
	b.run(command)
	eventually(b.daemon, 5*time.Second, command+": the bans are in the kernel", func() bool { return dropped(b.attacker) && dropped(attacker) })
	b.silent(b.attacker)
	after, last := b.ear.heard(b.attacker)
	passed := after - before
	b.daemon.Logf("%q: %d packets of a banned address passed in %s", command, passed, time.Since(began).Round(time.Millisecond))
	if limit := int(most(b.gap) / (5 * time.Millisecond)); passed > limit {
		b.daemon.Errorf("%q: %d packets of a banned address passed, the last %s after the start, want at most %d", command, passed, last.Sub(began), limit)
	}
}

// removeGuard removes the guard, and starts it again.
func (b *besides) removeGuard() {
	b.daemon.Helper()
	before := b.rules()
	if b.mark != "" && !strings.Contains(before, b.mark) {
		b.daemon.Errorf("no rule has %q:\n%s", b.mark, before)
	}
	b.daemon.stop(syscall.SIGTERM)
	block := section(b.daemon, "## Remove the guard")
	for line := range strings.Lines(block) {
		if !strings.HasPrefix(line, "systemctl") {
			_ = exec.Command("bash", "-c", line).Run() // a set that the guard did not need is not there
		}
	}
	if after := b.rules(); after != before {
		b.daemon.Errorf("without the guard the rules are\n%s\nwant\n%s", after, before)
	}
	if out, _ := exec.Command("iptables-save").Output(); strings.Contains(string(out), "FREESWITCH") {
		b.daemon.Errorf("of the guard remains\n%s", out)
	}
	b.start()
	eventually(b.daemon, 5*time.Second, "the ban is back", func() bool { return dropped(b.attacker) })
}

// removeOther ends the other program.
func (b *besides) removeOther() {
	b.daemon.Helper()
	for _, command := range b.end {
		b.run(command)
	}
	eventually(b.daemon, 5*time.Second, "the ban is in the kernel", func() bool { return dropped(b.attacker) })
	b.silent(b.attacker)
	b.reaches("203.0.113.2")
}

// rules returns the rules of others, without counters.
func (b *besides) rules() string {
	b.daemon.Helper()
	var all strings.Builder
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		out, err := exec.Command(program, "-t", "filter").Output()
		if err != nil {
			b.daemon.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "-A") && !strings.Contains(line, "FREESWITCH") {
				all.WriteString(line)
			}
		}
	}
	return all.String()
}

// docker makes the chains that Docker makes at its start, for a container with a published port.
const docker = `set -e
f() { iptables "$@"; }
once() { f -C "$@" 2>/dev/null || f -A "$@"; }
for c in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do f -N $c 2>/dev/null || true; done
for c in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do f -F $c; done
f -P FORWARD DROP
once FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
once FORWARD -o docker0 -j DOCKER
once FORWARD -i docker0 ! -o docker0 -j ACCEPT
f -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp --dport 5060 -j ACCEPT
f -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
f -A DOCKER-ISOLATION-STAGE-1 -j RETURN
f -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
f -A DOCKER-ISOLATION-STAGE-2 -j RETURN
iptables -t nat -F
iptables -t nat -N DOCKER 2>/dev/null || true
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A DOCKER ! -i docker0 -p udp --dport 5060 -j DNAT --to-destination 172.17.0.2:5060
once DOCKER-USER -j RETURN
for c in DOCKER-ISOLATION-STAGE-1 DOCKER-USER; do
	f -D FORWARD -j $c 2>/dev/null || true
	f -I FORWARD -j $c
done
`

// TestBesideDocker has FreeSWITCH in a container: its packets are forwarded.
func TestBesideDocker(t *testing.T) {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	container := networkOf(t)
	run(t, container, fmt.Sprintf("ip link add eth0 type veth peer name docker0 netns /proc/%d/fd/%d", os.Getpid(), own.Fd()),
		"ip addr add 172.17.0.2/16 dev eth0", "ip link set eth0 up")
	run(t, nil, "ip addr add 172.17.0.1/16 dev docker0", "ip link set docker0 up")
	run(t, container, "ip route add default via 172.17.0.1")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run(t, nil, "iptables -t nat -F", "iptables -t nat -X", "iptables -P FORWARD ACCEPT")
	})
	shell := func() {
		t.Helper()
		if out, err := exec.Command("bash", "-c", docker).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	d := prepare(t, `hooks = ["INPUT", "DOCKER-USER"]`, atOnce).start()
	b := &besides{daemon: d, ear: listenIn(t, container)}
	shell()
	jumps := func() bool {
		out, _ := exec.Command("iptables", "-S", "DOCKER-USER", "1").Output()
		return strings.TrimSpace(string(out)) == "-A DOCKER-USER -j FREESWITCH"
	}
	eventually(t, 10*time.Second, "DOCKER-USER jumps to the bans", jumps)
	b.reaches("203.0.113.1")
	b.reaches(address(0))
	b.ban(address(0))
	defer chatter(t, address(0), 5*time.Millisecond)()
	b.silent(address(0))
	before, _ := b.ear.heard(address(0))
	for range 3 { // Docker starts again
		shell()
		eventually(t, 5*time.Second, "DOCKER-USER jumps to the bans", jumps)
	}
	b.reaches("203.0.113.2")
	// Docker moves the jump to its chain to the top: it is not there for the time of one iptables.
	after, _ := b.ear.heard(address(0))
	t.Logf("%d packets of a banned address passed", after-before)
	if limit := int(most(time.Second/4) / (5 * time.Millisecond)); after-before > limit {
		t.Errorf("want at most %d", limit)
	}
}

// section returns the first block of code below a heading of the guide to other firewalls.
func section(t testing.TB, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "../../../examples/firewalls/README.md"), heading+"\n")
	_, text, found2 := strings.Cut(text, "```sh\n")
	text, _, found3 := strings.Cut(text, "```")
	if !found || !found2 || !found3 {
		t.Fatalf("no code below %q", heading)
	}
	return text
}

// TestGuidesAreWhatRuns: the commands that the tests run are in the guide to other firewalls.
func TestGuidesAreWhatRuns(t *testing.T) {
	text := read(t, "../../../examples/firewalls/README.md")
	for _, command := range []string{neighbours[0].steps[0], neighbours[0].steps[4], neighbours[1].steps[0], neighbours[1].steps[1], undeclare, saveRules} {
		if !strings.Contains(text, command) {
			t.Errorf("the guide does not have\n%s", command)
		}
	}
}

// layered is a program in a layer of its own above the root file system.
type layered struct {
	testing.TB
	pid int // of a process in its namespaces
}

// layer makes the layer, and installs packages in it. It downloads them in the network namespace
// outside, and installs them in that of the tests: what they start must not reach another firewall.
const layer = `set -e
mount -t tmpfs layer "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs run run
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod +x usr/sbin/policy-rc.d
apt="apt-get install -qq -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io $3"
export DEBIAN_FRONTEND=noninteractive
nsenter --net="/proc/$2/ns/net" chroot . sh -c "apt-get update -qq; $apt --download-only" >&2
chroot . $apt --no-download >&2
echo ready
cat
exit # this shell stays, and reaps what the programs leave
`

// install installs a neighbour, and writes its files.
func install(t *testing.T, n neighbour) *layered {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", layer, "layer", dir, fmt.Sprint(os.Getppid()), n.packages)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &golden.Output{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
		t.Fatalf("%s is not installed: %v\n%s", n.packages, err, said)
	}
	children := strings.Fields(read(t, fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)))
	o := &layered{TB: t}
	if _, err := fmt.Sscan(children[0], &o.pid); err != nil {
		t.Fatal(err)
	}
	for path, text := range n.config {
		if err := os.WriteFile(filepath.Join(fmt.Sprintf("/proc/%d/cwd", o.pid), path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// run runs a command of a shell beside the program.
func (o *layered) run(command string) {
	o.Helper()
	cmd := exec.Command("nsenter", "--target", fmt.Sprint(o.pid), "--mount", "--pid", "--wd", "chroot", ".", "bash", "-c", command)
	if out, err := cmd.CombinedOutput(); err != nil {
		o.Fatalf("%s: %v\n%s", command, err, out)
	}
}
