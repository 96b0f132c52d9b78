//go:build kernel

package kernel

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fail2banSet is the set in which fail2ban's action has its bans.
const fail2banSet = "f2b-compared"

// fail2banJail is added to the configuration of the package: its filter of FreeSWITCH, its fastest
// backend, one action for all ports of UDP, and a ban at the first failure.
const fail2banJail = `[freeswitch]
enabled = true
mode = normal
backend = pyinotify
logpath = %s
maxretry = 1
bantime = 1h
action = iptables-ipset-proto6-allports[name=compared, protocol=udp, blocktype=DROP]
`

// A rival is a running fail2ban, on a log that the test writes.
type rival struct {
	*daemon // its files and its log
	config  string
}

// fail2ban starts fail2ban with the configuration of its package.
func fail2ban(t testing.TB) *rival {
	t.Helper()
	r := &rival{daemon: prepare(t, ``, atOnce)}
	r.config = filepath.Join(r.dir, "fail2ban")
	if err := os.CopyFS(r.config, os.DirFS(shippedConfig(t))); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(r.dir, "fail2ban.sock")
	for name, text := range map[string]string{
		"jail.d/defaults-debian.conf": "",
		"jail.local":                  fmt.Sprintf(fail2banJail, r.log.Name()),
		"fail2ban.local": fmt.Sprintf("[Definition]\nsocket = %s\npidfile = %s\nlogtarget = %s\ndbfile = %s\n", socket,
			filepath.Join(r.dir, "fail2ban.pid"), filepath.Join(r.dir, "fail2ban.log"), filepath.Join(r.dir, "fail2ban.sqlite3")),
	} {
		if err := os.WriteFile(filepath.Join(r.config, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("fail2ban-server", "-f", "-c", r.config, "start")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // by the signal
		close(gone)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	waiting(t, "fail2ban watches the log", func() bool {
		return exec.Command("fail2ban-client", "-c", r.config, "status", "freeswitch").Run() == nil
	})
	return r
}

// shippedConfig returns the folder of the package's configuration, also if the package is only unpacked.
func shippedConfig(t testing.TB) string {
	t.Helper()
	server, err := exec.LookPath("fail2ban-server")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(server), "../../etc/fail2ban")
}

// waiting waits up to a minute for a condition.
func waiting(t testing.TB, what string, ok func() bool) {
	t.Helper()
	watching(t, time.Minute, 10*time.Millisecond, what, ok)
}

// A contest is one comparison: what it took the daemon, and fail2ban.
type contest struct {
	what           string
	ours, fail2ban time.Duration
}

func (c *contest) report(t testing.TB) {
	t.Helper()
	t.Logf("%s: %s, fail2ban %s: %.0f times as long", c.what, c.ours, c.fail2ban, c.fail2ban.Seconds()/c.ours.Seconds())
	if c.ours >= c.fail2ban {
		t.Errorf("%s: fail2ban is faster", c.what)
	}
}

// TestCompare compares the daemon with fail2ban of the Debian package, in one run on one kernel. Both
// ban at the first failure, into a set. It is for `make compare`, which sets $COMPARE.
func TestCompare(t *testing.T) {
	if os.Getenv("COMPARE") == "" {
		t.Skip("only for make compare")
	}
	needs(t, "fail2ban-server", "fail2ban python3-pyinotify")
	version, err := exec.Command("fail2ban-server", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s beside %s", machine(), strings.TrimSpace(string(version)))
	t.Run("line to last packet", compareLatency)
	t.Run("1,000 bans", compareBans)
	t.Run("replay", compareReplay)
}

func compareLatency(t *testing.T) {
	const tries = 50
	measure := func(t *testing.T, d *daemon) (p percentiles) {
		var took []time.Duration
		e := listen(t)
		for i := range tries {
			pause(time.Duration(50+37*i%450) * time.Millisecond) // both poll or wait: not in step with them
			ip := attackerOf(0, i)
			stop := chatter(t, ip, grain)
			waiting(t, "packets of "+ip+" arrive", func() bool { n, _ := e.heard(ip); return n > 2 })
			began := time.Now()
			d.write(former(failure(ip)))
			waiting(t, ip+" is silent", func() bool {
				_, last := e.heard(ip)
				return time.Since(last) > 100*time.Millisecond
			})
			stop()
			_, last := e.heard(ip)
			took = append(took, max(0, last.Sub(began)))
		}
		return percentilesOf(took)
	}
	var ours, theirs percentiles
	t.Run("ours", func(t *testing.T) { ours = measure(t, prepare(t, `backend = "ipset"`, atOnce).start()) })
	t.Run("fail2ban", func(t *testing.T) {
		r := fail2ban(t)
		r.warm(t)
		theirs = measure(t, r.daemon)
	})
	if theirs.n > 0 && ours.n > 0 {
		(&contest{"line to last packet, p50", ours.p50, theirs.p50}).report(t)
		(&contest{"line to last packet, p99", ours.p99, theirs.p99}).report(t)
	}
}

// warm has fail2ban ban an address: it makes its set and its rule at the first ban.
func (r *rival) warm(t testing.TB) {
	t.Helper()
	r.write(former(failure("198.19.255.1")))
	waiting(t, "the first ban", func() bool { return membersOf(t, fail2banSet) == 1 })
}

func compareBans(t *testing.T) {
	const bans = 1000
	c := contest{what: "1,000 bans at once, in the kernel"}
	lines := former(burst(bans, 1))
	t.Run("ours", func(t *testing.T) {
		d := prepare(t, `backend = "ipset"`, atOnce).start()
		began := time.Now()
		d.write(lines)
		waiting(t, "all are in the kernel", func() bool { return members(t) >= bans })
		c.ours = time.Since(began)
	})
	t.Run("fail2ban", func(t *testing.T) {
		r := fail2ban(t)
		r.warm(t)
		began := time.Now()
		r.write(lines)
		watching(t, 5*time.Minute, 50*time.Millisecond, "all are in the kernel", func() bool { return membersOf(t, fail2banSet) > bans })
		c.fail2ban = time.Since(began)
	})
	c.report(t)
}

func compareReplay(t *testing.T) {
	const lines = 200_000
	log := usual(lines)
	log.former = true
	path := written(t, log)
	ours := fastest(t, 3, binary, replaying(path)...)
	theirs := timed(t, "fail2ban-regex", "-c", shippedConfig(t), path, "freeswitch[mode=normal]")
	found := 0
	_, total, _ := strings.Cut(string(theirs.out), "Failregex: ")
	if _, err := fmt.Sscan(total, &found); err != nil || found < lines/200 {
		t.Fatalf("fail2ban-regex finds too little: %.3000s", theirs.out)
	}
	(&contest{fmt.Sprintf("replay of %d lines", lines), ours.wall, theirs.wall}).report(t)
}
