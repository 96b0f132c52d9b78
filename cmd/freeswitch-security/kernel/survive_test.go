//go:build kernel

package kernel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/golden"

	"golang.org/x/sys/unix"
)

// TestRestartWithoutGap stops and starts the daemon under 10,000 bans while banned addresses keep
// sending: no packet of theirs gets through.
func TestRestartWithoutGap(t *testing.T) {
	d := prepare(t, ``, atOnce).start()
	const bans = 10_000
	d.write(burst(bans, 1))
	eventually(t, 20*time.Second, "all are in the kernel", func() bool { return members(t) >= bans })
	e := listen(t)
	var banned []string
	for i := range 20 {
		ip := address(i * 499)
		banned = append(banned, ip)
		stop := chatter(t, ip, time.Millisecond)
		defer stop()
	}
	newcomer := "203.0.113.66"
	stopNewcomer := chatter(t, newcomer, grain)
	defer stopNewcomer()
	eventually(t, time.Second, "packets of the newcomer arrive", func() bool { n, _ := e.heard(newcomer); return n > 10 })

	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGINT} {
		took := d.stop(sig)
		t.Logf("%s took %s", sig, took)
		if took > most(100*time.Millisecond) {
			t.Errorf("%s took %s, want at most 100ms", sig, took)
		}
		if i == 2 {
			d.write(failure(newcomer)) // while the daemon is down
		}
		began := time.Now()
		d.start()
		took = time.Since(began)
		t.Logf("ready after %s", took)
		if took > most(300*time.Millisecond) {
			t.Errorf("ready after %s, want at most 300ms", took)
		}
		if i == 2 {
			eventually(t, time.Second, "an attacker during the downtime is banned", func() bool { return inSet(newcomer) })
		}
		pause(300 * time.Millisecond)
		if got := members(t); got < bans {
			t.Errorf("%d bans in the kernel after the restart", got)
		}
	}
	for _, ip := range banned {
		if n, _ := e.heard(ip); n > 0 {
			t.Errorf("%d packets of %s got through", n, ip)
		}
	}
}

// TestNewAttackerDuringStart writes an attack while 10,000 bans are restored.
func TestNewAttackerDuringStart(t *testing.T) {
	d := prepare(t, ``, atOnce).start()
	d.write(burst(10_000, 1))
	eventually(t, 20*time.Second, "all are in the kernel", func() bool { return members(t) >= 10_000 })
	d.stop(syscall.SIGTERM)
	e := listen(t)
	ip := "203.0.113.77"
	stop := chatter(t, ip, grain)
	defer stop()
	eventually(t, time.Second, "packets arrive", func() bool { n, _ := e.heard(ip); return n > 10 })
	began := time.Now()
	d.launch()
	pause(20 * time.Millisecond)
	d.write(failure(ip))
	eventually(t, 5*time.Second, "the daemon is ready", func() bool { return strings.Contains(d.said.String(), "msg=ready") })
	ready := time.Now()
	eventually(t, 5*time.Second, ip+" is silent", func() bool {
		_, last := e.heard(ip)
		return time.Since(last) > 50*time.Millisecond
	})
	_, last := e.heard(ip)
	t.Logf("ready after %s, the new attacker's last packet %s after that", ready.Sub(began), last.Sub(ready))
	if last.Sub(began) > most(315*time.Millisecond) {
		t.Errorf("the new attacker got through for %s", last.Sub(began))
	}
}

// accepted matches a log line that acknowledges a ban. The last one may be incomplete.
var accepted = regexp.MustCompile(`msg=ban target=(\S+) .*\n`)

// TestKillNine kills the daemon at random moments under attack, $KILLS times, and demands that the
// next start knows every acknowledged ban.
func TestKillNine(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	d := prepare(t, `backend = "ipset"`, atOnce).start()
	rng := rand.New(rand.NewPCG(9, 9))
	acknowledged := map[string]bool{}
	next := 0
	for kill := range kills {
		deadline := time.Now().Add(time.Duration(5+rng.IntN(120)) * time.Millisecond)
		for time.Now().Before(deadline) {
			var lines strings.Builder
			for range 1 + rng.IntN(50) {
				lines.WriteString(failure(address(next)))
				next++
			}
			d.write(lines.String())
			pause(time.Duration(rng.IntN(3)) * time.Millisecond)
		}
		d.stop(syscall.SIGKILL)
		for _, m := range accepted.FindAllStringSubmatch(d.said.String(), -1) {
			acknowledged[m[1]] = true
		}
		d.start()
		eventually(t, 5*time.Second, fmt.Sprintf("kill %d: what was acknowledged is in the kernel", kill), func() bool {
			return members(t) >= len(acknowledged)
		})
	}
	// Every attacker in the log is banned in the end.
	eventually(t, 10*time.Second, fmt.Sprintf("all %d attackers are banned", next), func() bool { return members(t) >= next })
	saved, err := exec.Command("ipset", "save", "freeswitch-blocked").Output() // to ask for each takes minutes
	if err != nil {
		t.Fatal(err)
	}
	banned := map[string]bool{}
	for line := range strings.Lines(string(saved)) { // add freeswitch-blocked 198.18.0.1 timeout 3600
		if words := strings.Fields(line); words[0] == "add" {
			banned[words[2]] = true
		}
	}
	for ip := range acknowledged {
		if !banned[ip] {
			t.Errorf("%s was acknowledged and is not in the kernel", ip)
		}
	}
	t.Logf("%d kills, %d acknowledged before one of them, %d bans in the end", kills, len(acknowledged), members(t))
}

// TestBrokenRulesAreRefused reloads broken rules, and then good ones.
func TestBrokenRulesAreRefused(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce).start()
	d.rules(`backend = "ipset"`, strings.ReplaceAll(atOnce, "event ==", "evnt =="))
	hup := func(answer string) {
		t.Helper()
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, answer, func() bool { return strings.Contains(d.said.String(), answer) })
	}
	hup("reload refused")
	if said := d.said.String(); !strings.Contains(said, `There is no field \"evnt\"`) || !strings.Contains(said, "rules.hcl:12:") {
		t.Errorf("the mistake is not in the log:\n%s", said)
	}
	if err := d.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the status reports it", func() bool {
		return strings.Contains(d.said.String(), `reload="1 mistake in`)
	})
	d.write(failure("198.18.0.1"))
	eventually(t, 5*time.Second, "the old rules still ban", func() bool { return inSet("198.18.0.1") })

	d.rules(`backend = "ipset"`, atOnce+"trusted \"office\" {\n  networks = [\"198.18.0.0/24\"]\n}\n")
	hup("msg=reloaded")
	eventually(t, 5*time.Second, "the new trust ends the ban", func() bool { return !inSet("198.18.0.1") })
	d.write(failure("198.18.1.1"))
	eventually(t, 5*time.Second, "the new rules ban", func() bool { return inSet("198.18.1.1") })
}

// TestWithdraw takes the bans out of the kernel after the guard has stopped, also with mistakes in the rules,
// and with rule files that cannot be read at all. While a guard runs it changes nothing.
func TestWithdraw(t *testing.T) {
	d := prepare(t, ``, atOnce)
	for _, c := range []struct {
		name, mistake string
		exit          int
	}{
		{"no mistake", "", 0},
		{"a rule with a mistake", "rule \"half\" {}\n", 1},
		{"a file that does not parse", "rule \"half\" {", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.rules(``, atOnce)
			d.start()
			d.write(burst(120, 1)) // a set, and the next start takes it over
			eventually(t, 10*time.Second, "all are in the kernel", func() bool { return members(t) >= 120 })
			withdraw := func() (int, string) {
				cmd := exec.Command(binary, "withdraw", "--rules", filepath.Join(d.dir, "rules.d"))
				out, _ := cmd.CombinedOutput()
				return cmd.ProcessState.ExitCode(), string(out)
			}
			if exit, out := withdraw(); exit != 2 || !strings.Contains(out, "is using it") || members(t) < 120 {
				t.Errorf("while it runs: exit status %d, %s", exit, out)
			}
			d.rules(``, atOnce+c.mistake)
			d.stop(syscall.SIGTERM)
			if exit, out := withdraw(); exit != c.exit {
				t.Errorf("exit status %d, want %d: %s", exit, c.exit, out)
			}
			for _, args := range [][]string{{"iptables", "-S"}, {"ip6tables", "-S"}, {"ipset", "list", "-n"}} {
				if out, err := exec.Command(args[0], args[1:]...).Output(); err != nil || strings.Contains(strings.ToLower(string(out)), "freeswitch") {
					t.Errorf("%s, %v: left is\n%s", args, err, out)
				}
			}
		})
	}
}

// TestMeddling changes the firewall in every way that a person or a program might, and demands
// repair at once, with one line in the log.
func TestMeddling(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce).start()
	d.write(burst(200, 1))
	eventually(t, 5*time.Second, "all are in the kernel", func() bool { return members(t) >= 200 })
	e := listen(t)
	ip := address(7)
	stop := chatter(t, ip, time.Millisecond)
	defer stop()
	changes := []struct{ name, command string }{
		{"chain flushed", "iptables -F FREESWITCH"},
		{"everything flushed", "iptables -F"},
		{"jump deleted", "iptables -D INPUT -j FREESWITCH"},
		{"chain deleted", "iptables-restore --noflush " + input(t, "*filter\n-F\n-X FREESWITCH\nCOMMIT\n")},
		{"an ACCEPT above the jump", "iptables -I INPUT 1 -p udp -j ACCEPT"},
		{"set flushed", "ipset flush freeswitch-blocked"},
		{"half of the set deleted", "ipset -file " + half(t) + " restore"},
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			before := strings.Count(d.said.String(), "drift repaired")
			undone := time.Now()
			words := strings.Fields(c.command)
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", c.command, err, out)
			}
			eventually(t, 5*time.Second, "it is repaired", func() bool {
				_, last := e.heard(ip)
				repaired := strings.Count(d.said.String(), "drift repaired") > before
				return repaired && time.Since(last) > 50*time.Millisecond && members(t) >= 200
			})
			took := time.Since(undone)
			t.Logf("repaired after %s", took)
			if took > 30*time.Second {
				t.Errorf("repaired after %s, with a resync every three seconds", took)
			}
		})
	}
	pause(4 * time.Second) // another resync finds nothing
	if n := strings.Count(d.said.String(), "drift repaired"); n > len(changes) {
		t.Errorf("%d repairs of %d changes in the log:\n%s", n, len(changes), d.said)
	}
	if err := exec.Command("ipset", "destroy", "freeswitch-blocked").Run(); err == nil {
		t.Error("the set could be destroyed while it is in use")
	}
}

// half returns ipset commands that delete every second of the first 200 addresses.
func half(t testing.TB) (path string) {
	t.Helper()
	var commands strings.Builder
	for i := 1; i < 200; i += 2 {
		fmt.Fprintln(&commands, "del freeswitch-blocked", address(i))
	}
	return input(t, commands.String())
}

// input writes the input of a program.
func input(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDamagedState starts on a state file of noise: the daemon reports it, and protects.
func TestDamagedState(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce)
	state := filepath.Join(d.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state.db"), []byte(strings.Repeat("noise", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	if !strings.Contains(d.said.String(), "state damaged: moved aside") {
		t.Errorf("the damage is not reported:\n%s", d.said)
	}
	d.write(failure("198.18.0.1"))
	eventually(t, 5*time.Second, "it protects", func() bool { return inSet("198.18.0.1") })
}

// TestFullDisk keeps the state on a full file system.
func TestFullDisk(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce)
	state := filepath.Join(d.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.cmd.Process.Kill()
			<-d.done
		}
		if err := syscall.Unmount(state, 0); err != nil {
			t.Error(err)
		}
	})
	d.start()
	d.write(burst(5000, 1))
	eventually(t, 10*time.Second, "all are in the kernel", func() bool { return members(t) >= 5000 })
	eventually(t, 5*time.Second, "the full disk is reported", func() bool { return strings.Contains(d.said.String(), "state not saved") })
}

// TestAutoBlockOff decides by a rule whose bans are not enforced.
func TestAutoBlockOff(t *testing.T) {
	const off = "security {\n  auto_block_enabled = false\n}\n"
	d := prepare(t, `backend = "ipset"`, atOnce+off).start()
	d.write(failure("198.18.0.1"))
	eventually(t, 5*time.Second, "the ban is logged", func() bool {
		said := d.said.String()
		return strings.Contains(said, "msg=ban target=198.18.0.1") && strings.Contains(said, "dryRun=true")
	})
	pause(100 * time.Millisecond)
	if inSet("198.18.0.1") {
		t.Error("it is in the kernel")
	}
	d.rules(`backend = "ipset"`, atOnce)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "a reload brings it into the kernel", func() bool { return inSet("198.18.0.1") })
}

// TestReadOnlyState keeps the state on a read-only file system.
func TestReadOnlyState(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce)
	state := filepath.Join(d.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(state, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d.start()
	if said := d.said.String(); !strings.Contains(said, "state not opened") || !strings.Contains(said, "read-only file system") {
		t.Errorf("the state is not reported:\n%s", said)
	}
	d.write(failure("198.18.0.1"))
	eventually(t, 5*time.Second, "it protects", func() bool { return inSet("198.18.0.1") })
}

// TestLostState stops the daemon and spoils its state: the bans in the kernel stay.
func TestLostState(t *testing.T) {
	for backend, damage := range map[string][]string{
		"rules": {"iptables", "-F", "FREESWITCH"},
		"ipset": {"ipset", "del", "freeswitch-blocked", address(0)}, // only a resync finds it
	} {
		t.Run(backend, func(t *testing.T) {
			d := prepare(t, `backend = "`+backend+`"`, atOnce).start()
			d.write(burst(5, 1))
			stands := func(ip string) bool {
				return inSet(ip) || exec.Command("iptables", "-C", "FREESWITCH", "-s", ip, "-j", "DROP").Run() == nil
			}
			eventually(t, 5*time.Second, "all are in the kernel", func() bool { return stands(address(4)) })
			d.stop(syscall.SIGTERM)
			if err := os.WriteFile(filepath.Join(d.dir, "state", "state.db"), []byte(strings.Repeat("noise", 10_000)), 0o600); err != nil {
				t.Fatal(err)
			}
			d.start()
			eventually(t, 5*time.Second, "it reports the bans it adopted", func() bool { return strings.Contains(d.said.String(), "bans=5") })
			if out, err := exec.Command(damage[0], damage[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			eventually(t, 5*time.Second, "a repair", func() bool { return strings.Contains(d.said.String(), "drift repaired") })
			for i := range 5 {
				if !stands(address(i)) {
					t.Errorf("%s was unbanned\n%s", address(i), d.said)
				}
			}
		})
	}
}

// TestSecondInstance starts the daemon twice: the second one must end.
func TestSecondInstance(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce).start()
	d.write(burst(5, 1))
	eventually(t, 5*time.Second, "all are in the kernel", func() bool { return members(t) == 5 })
	second := exec.Command(binary, "run", "--rules", filepath.Join(d.dir, "rules.d"), "--state", filepath.Join(d.dir, "state"))
	out, err := second.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "another freeswitch-security is using it") {
		t.Errorf("the second ended with %v: %s", err, out)
	}
	if n := members(t); n != 5 {
		t.Errorf("%d bans in force", n)
	}
}

// TestSecondGuard: a second daemon with a state of its own is refused on the chain of the first, at its
// start and at a reload, and accepted on another. One that another user pretends to be is not obeyed.
func TestSecondGuard(t *testing.T) {
	d := prepare(t, ``, atOnce).start()
	other := &daemon{TB: t, dir: t.TempDir(), log: d.log}
	if err := os.Mkdir(filepath.Join(other.dir, "rules.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	other.rules(``, atOnce)
	other.launch()
	named := fmt.Sprintf("iptables chain FREESWITCH: another freeswitch-security is using it: process %d (", d.cmd.Process.Pid)
	if err := <-other.done; other.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(other.said.String(), named) {
		t.Fatalf("the second ended with %v: %s", err, other.said)
	}
	other.rules(`chain = "OTHER"`, atOnce)
	other.start()
	other.rules(``, atOnce)
	if err := other.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the reload is refused", func() bool {
		return strings.Contains(other.said.String(), "reload refused") && strings.Contains(other.said.String(), "another freeswitch-security is using it")
	})
	other.stop(syscall.SIGTERM)
	d.stop(syscall.SIGTERM)

	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	listener := os.NewFile(uintptr(fd), "squatter")
	defer listener.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@freeswitch-security/iptables chain FREESWITCH"}); err != nil {
		t.Fatal(err)
	}
	squatter := exec.Command("/proc/self/exe")
	squatter.Env = append(os.Environ(), roleVar+"=squatter")
	squatter.ExtraFiles = []*os.File{listener}
	squatter.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}, Pdeathsig: syscall.SIGKILL}
	squatter.Stdout = &golden.Output{}
	if _, err := squatter.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := squatter.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = squatter.Process.Kill(); _ = squatter.Wait() }()
	eventually(t, 5*time.Second, "it listens", func() bool { return strings.Contains(squatter.Stdout.(*golden.Output).String(), "listening") })
	d.start()
	if !strings.Contains(d.said.String(), "claim held by a process of another user: ignored") {
		t.Errorf("the other user is not reported:\n%s", d.said)
	}
}

// TestStateDamagedAtWork empties the state file of a running daemon: it continues to ban, reports
// that nothing is saved, and can be stopped.
func TestStateDamagedAtWork(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, atOnce).start()
	d.write(failure(address(0)))
	eventually(t, 5*time.Second, "it bans", func() bool { return inSet(address(0)) })
	if err := os.Truncate(filepath.Join(d.dir, "state", "state.db"), 0); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 5; i++ {
		d.write(failure(address(i)))
		eventually(t, 5*time.Second, "it bans, and reports", func() bool {
			return inSet(address(i)) && strings.Contains(d.said.String(), "msg=ban target="+address(i))
		})
	}
	if !strings.Contains(d.said.String(), "state not saved") {
		t.Errorf("the state is not reported:\n%s", d.said)
	}
	d.stop(syscall.SIGTERM)
}

// TestRenamedChain renames the chain at a reload: the bans move, and nothing remains.
func TestRenamedChain(t *testing.T) {
	d := prepare(t, ``, atOnce).start()
	d.write(failure(address(0)))
	stands := func(chain string) bool {
		return exec.Command("iptables", "-C", chain, "-s", address(0), "-j", "DROP").Run() == nil
	}
	eventually(t, 5*time.Second, "it bans", func() bool { return stands("FREESWITCH") })
	d.rules(`chain = "VOIP_SECURITY"`, atOnce)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the bans move", func() bool { return stands("VOIP_SECURITY") })
	eventually(t, 5*time.Second, "the old chain is gone", func() bool {
		return exec.Command("iptables", "-S", "FREESWITCH").Run() != nil
	})
}

// TestStopInAFlood stops the daemon while it reads 100,000 attackers.
func TestStopInAFlood(t *testing.T) {
	for range 3 {
		d := prepare(t, `backend = "ipset"`, atOnce).start()
		d.write(burst(100_000, 1))
		watching(t, 5*time.Second, 10*time.Millisecond, "it is at work", func() bool { return members(t) > 1000 })
		took := d.stop(syscall.SIGTERM)
		t.Logf("SIGTERM took %s, %d bans in the kernel", took, members(t))
		if took > most(100*time.Millisecond) {
			t.Errorf("SIGTERM took %s, want at most 100ms", took)
		}
	}
}
