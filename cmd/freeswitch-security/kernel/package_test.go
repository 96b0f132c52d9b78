//go:build kernel && package

package kernel

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/golden"
)

const (
	debs      = "../../../dist/*.deb"
	rpms      = "../../../dist/*.rpm"
	confRules = "/etc/freeswitch-security/rules.d/"
	confEnv   = "/etc/freeswitch-security/env"
)

// TestPackageDebian takes the .deb through the life of an installation, in a booted Debian with
// FreeSWITCH's log as FusionPBX leaves it: dry run, enforcing, upgrades under attack, removal, purge.
func TestPackageDebian(t *testing.T) {
	clearFirewall(t)
	c := boot(t)
	v1 := newest(t, debs)
	c.ok("install -d -g www-data -m 0750 /var/log/freeswitch")
	c.ok("install -g www-data -m 0640 /dev/null /var/log/freeswitch/freeswitch.log")
	ear := listen(t)
	for _, from := range []string{"198.18.0.1", "198.18.0.2", "198.18.0.3"} {
		t.Cleanup(chatter(t, from, 5*time.Millisecond))
	}

	// A new installation decides and bans no address.
	c.install(v1)
	c.ok("systemctl is-active freeswitch-security")
	c.ok("systemctl reload freeswitch-security")
	c.ok("freeswitch-security check")
	c.ok("test -e /usr/share/man/man8/freeswitch-security-ban.8.gz -a -e /usr/share/bash-completion/completions/freeswitch-security")
	if out := c.ok("systemd-analyze security --offline=yes --threshold=21 freeswitch-security.service freeswitch-security-report.service"); strings.Count(out, "Overall exposure level") != 2 {
		t.Errorf("systemd-analyze security: %s", out)
	}
	c.ok("systemd-analyze verify freeswitch-security.service freeswitch-security-report.service freeswitch-security-report.timer")
	c.attack("198.18.0.1")
	eventually(t, 20*time.Second, "the dry run decides", func() bool {
		return strings.Contains(c.ok("journalctl -o cat -u freeswitch-security"), "msg=ban target=198.18.0.1")
	})
	c.ok("systemctl start freeswitch-security-report && test -s /var/lib/freeswitch-security-report/*.html")
	if chains := c.firewall(); strings.Contains(chains, "FREESWITCH") {
		t.Errorf("a dry run has changed the firewall:\n%s", chains)
	}

	// The operator ends the dry run, and makes settings of his own.
	c.ok("sed -i /^OPTIONS=/d " + confEnv)
	c.append(confEnv, "MINE=a(b & $(touch /root/freeswitch-security-env)\n") // which is no text of a shell
	c.write(confRules+"50-mine.hcl", atOnce)
	c.append(confRules+"00-site.hcl", "# mine\n")
	c.ok("systemctl restart freeswitch-security")
	c.attack("198.18.0.2")
	c.banned("198.18.0.2")
	before, _ := ear.heard("198.18.0.2")

	// An upgrade leaves no gap, keeps what is the operator's and replaces the rest.
	pid := c.ok("systemctl show -P MainPID freeswitch-security")
	v2 := c.next(v1, "2.0.0", map[string]string{"00-site.hcl": "\n# new\n", "10-guessing.hcl": "\n# new\n"})
	c.install(v2)
	if now := c.ok("systemctl show -P MainPID freeswitch-security"); now == pid || strings.TrimSpace(now) == "0" {
		t.Errorf("the upgrade did not restart the guard: process %s", now)
	}
	c.ok("grep -q '^# mine' " + confRules + "00-site.hcl")
	c.ok("grep -q '^# new' " + confRules + "10-guessing.hcl")
	c.banned("198.18.0.2")
	c.ok("freeswitch-security show 198.18.0.2")
	c.attack("198.18.0.3")
	c.banned("198.18.0.3")
	if after, _ := ear.heard("198.18.0.2"); after != before {
		t.Errorf("%d packets of a banned address arrived during the upgrade", after-before)
	}

	// A version that refuses the rules does not replace one that runs with them.
	pid = c.ok("systemctl show -P MainPID freeswitch-security")
	c.append(confRules+"50-mine.hcl", "rule\n")
	v3 := c.next(v2, "3.0.0", nil)
	if out := c.install(v3); !strings.Contains(out, "refuses the rules") || !strings.Contains(out, "00-site.hcl.dpkg-dist") {
		t.Errorf("an upgrade with wrong rules: %s", out)
	}
	if now := c.ok("systemctl show -P MainPID freeswitch-security"); now != pid {
		t.Error("an upgrade with wrong rules ended the guard")
	}
	if _, err := c.run("systemctl restart freeswitch-security"); err == nil {
		t.Error("it starts with wrong rules")
	}
	if out := c.install(v2); strings.Contains(out, "is stopped") || !strings.Contains(out, "freeswitch-security.service failed") {
		t.Errorf("an upgrade of a guard that fails at each start: %s", out)
	}

	// One that is starting is not ended for a version that refuses the rules.
	const slow = "/etc/systemd/system/freeswitch-security.service.d"
	c.write(confRules+"50-mine.hcl", atOnce)
	c.ok("mkdir " + slow + " && printf '[Service]\\nTimeoutStartSec=infinity\\nExecStartPost=/bin/sleep infinity\\n' >" + slow + "/slow.conf && systemctl daemon-reload && systemctl restart --no-block freeswitch-security")
	eventually(t, 20*time.Second, "it is starting", func() bool {
		return strings.TrimSpace(c.ok("systemctl show --property=SubState --value freeswitch-security")) == "start-post"
	})
	pid = c.ok("systemctl show -P MainPID freeswitch-security")
	c.append(confRules+"50-mine.hcl", "rule\n")
	if out := c.install(v3); !strings.Contains(out, "refuses the rules") {
		t.Errorf("an upgrade of a guard that is starting, with wrong rules: %s", out)
	}
	if now := c.ok("systemctl show -P MainPID freeswitch-security"); now != pid {
		t.Error("an upgrade with wrong rules ended a guard that was starting")
	}
	c.write(confRules+"50-mine.hcl", atOnce)
	c.ok("rm -r " + slow + " && systemctl daemon-reload && systemctl restart freeswitch-security")

	// An upgrade starts no guard that the operator has stopped.
	c.ok("systemctl stop freeswitch-security")
	if out := c.install(v2); !strings.Contains(out, "is stopped, and stays so") {
		t.Errorf("an upgrade while it is stopped: %s", out)
	}
	if out, err := c.run("systemctl is-active freeswitch-security"); err == nil {
		t.Errorf("an upgrade started what was stopped: %s", out)
	}
	c.ok("systemctl start freeswitch-security")

	// One that runs gets the new program, also if it does not start at boot.
	c.ok("systemctl disable freeswitch-security")
	pid = c.ok("systemctl show -P MainPID freeswitch-security")
	c.install(v1)
	if now := c.ok("systemctl show -P MainPID freeswitch-security"); now == pid || now == "0\n" {
		t.Errorf("an upgrade left the old program running: process %s", now)
	}
	c.ok("systemctl enable freeswitch-security")

	// A removal leaves settings and state, and nothing in the kernel; a new installation bans again.
	c.ok("apt-get remove -y freeswitch-security")
	if chains := c.firewall(); strings.Contains(strings.ToLower(chains), "freeswitch") {
		t.Errorf("left in the firewall by the removal:\n%s", chains)
	}
	c.ok("test -s " + confRules + "50-mine.hcl -a -d /var/lib/freeswitch-security")
	c.install(v2)
	c.banned("198.18.0.2")

	// Neither a mistake in the rules nor a process of the user hinders the purge.
	c.append(confRules+"50-mine.hcl", "rule\n")
	c.ok("setpriv --reuid=freeswitch-security --clear-groups sleep infinity >/dev/null 2>&1 & echo $! >/root/sleeper")
	if out := c.ok("apt-get purge -y freeswitch-security"); !strings.Contains(out, "the user stays") {
		t.Errorf("a purge while a process of the user runs: %s", out)
	}
	c.ok("kill $(cat /root/sleeper); while kill -0 $(cat /root/sleeper) 2>/dev/null; do :; done; userdel freeswitch-security")
	c.nothingLeft()
}

// TestPackageRPM compares the .rpm, which is not installed, with the .deb.
func TestPackageRPM(t *testing.T) {
	deb, rpm := newest(t, debs), newest(t, rpms)
	var inDeb []string
	for line := range strings.Lines(mustRun(t, "dpkg-deb", "-c", deb)) {
		name := strings.TrimPrefix(strings.Fields(line)[5], ".")
		name = strings.Replace(name, "/zsh/vendor-completions/", "/zsh/site-functions/", 1)
		if !strings.HasSuffix(name, "/") {
			inDeb = append(inDeb, name)
		}
	}
	inRPM := strings.Fields(mustRun(t, "rpm", "-qpl", rpm))
	slices.Sort(inDeb)
	slices.Sort(inRPM)
	if !slices.Equal(inDeb, inRPM) {
		t.Errorf("the .deb has\n%s\nthe .rpm\n%s", strings.Join(inDeb, "\n"), strings.Join(inRPM, "\n"))
	}
	settings := func(name string) bool { return strings.HasPrefix(name, "/etc/") }
	conf := strings.Fields(mustRun(t, "rpm", "-qpc", rpm))
	slices.Sort(conf)
	if want := slices.DeleteFunc(inRPM, func(name string) bool { return !settings(name) }); !slices.Equal(conf, want) || len(conf) < 10 {
		t.Errorf("config files %q, want %q", conf, want)
	}
	scripts := mustRun(t, "rpm", "-qp", "--scripts", rpm)
	for _, part := range []string{"systemd-sysusers", "freeswitch-security.start", "withdraw --rules", "daemon-reload"} {
		if !strings.Contains(scripts, part) {
			t.Errorf("the scripts lack %q:\n%s", part, scripts)
		}
	}
}

// A container is a booted Debian in the network namespace of the test.
type container struct {
	testing.TB
	root   string
	leader string // its first process
}

// boot boots a new Debian: that of a tar file, which is made once. A host on which Debian cannot be
// made or booted skips the test.
func boot(t testing.TB) *container {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(cache, "freeswitch-security", "bookworm.tar")
	if _, err := os.Stat(tar); err != nil {
		if err := os.MkdirAll(filepath.Dir(tar), 0o755); err != nil {
			t.Fatal(err)
		}
		hostNet, began := "/proc/"+fmt.Sprint(os.Getppid())+"/ns/net", time.Now()
		make := exec.Command("nsenter", "--net="+hostNet, "mmdebstrap", "--format=tar", "--variant=minbase", "--include=iptables,ipset,systemd", "bookworm", tar+".new", "http://deb.debian.org/debian")
		if out, err := make.CombinedOutput(); err != nil {
			t.Skipf("mmdebstrap: %v\n%s", err, out)
		}
		if err := os.Rename(tar+".new", tar); err != nil {
			t.Fatal(err)
		}
		t.Logf("Debian made in %s", time.Since(began).Round(time.Second))
	}
	c := &container{TB: t, root: filepath.Join(t.TempDir(), "debian")}
	if err := os.Mkdir(c.root, 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "tar", "-xf", tar, "-C", c.root)

	said := &golden.Output{}
	cmd := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--capability=CAP_NET_ADMIN", "--directory="+c.root,
		fmt.Sprintf("--network-namespace-path=/proc/%d/ns/net", os.Getpid()), "--boot")
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = exec.Command("kill", "-KILL", c.leader).Run()
		<-ended
	})
	eventually(t, 2*time.Minute, "Debian has booted", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("systemd-nspawn: %v\n%s", err, said)
		default:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		c.leader = strings.TrimSpace(string(children))
		if c.leader == "" {
			return false
		}
		out, _ := c.run("systemctl is-system-running")
		return slices.Contains([]string{"running", "degraded"}, strings.TrimSpace(out))
	})
	return c
}

// mustRun runs a program and returns what it prints.
func mustRun(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var fault strings.Builder
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, fault.String())
	}
	return string(out)
}

// newest returns the package that was built last.
func newest(t testing.TB, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d packages %s, want one: make package (%v)", len(files), pattern, err)
	}
	return files[0]
}

// run runs a command of a shell in the container, without standard input.
func (c *container) run(command string) (string, error) {
	cmd := exec.Command("nsenter", "--target="+c.leader, "--mount", "--uts", "--ipc", "--pid", "--root", "--wd", "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ok is run of a command that must succeed.
func (c *container) ok(command string) string {
	c.Helper()
	out, err := c.run(command)
	if err != nil {
		journal, _ := c.run("journalctl -o cat -n 40 -u 'freeswitch-security*'")
		c.Fatalf("%s: %v\n%s\nthe journal:\n%s", command, err, out, journal)
	}
	return out
}

func (c *container) install(deb string) string {
	c.Helper()
	data, err := os.ReadFile(deb)
	if err != nil {
		c.Fatal(err)
	}
	c.write("/root/new.deb", string(data))
	return c.ok("apt-get install -y --allow-downgrades -o Dpkg::Options::=--force-confold /root/new.deb")
}

func (c *container) write(path, text string) {
	c.Helper()
	if err := os.WriteFile(filepath.Join(c.root, path), []byte(text), 0o644); err != nil {
		c.Fatal(err)
	}
}

func (c *container) append(path, text string) {
	c.Helper()
	f, err := os.OpenFile(filepath.Join(c.root, path), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		c.Fatal(err)
	}
}

// attack writes five failures of an address into FreeSWITCH's log.
func (c *container) attack(from string) {
	c.Helper()
	for range 5 {
		c.append("/var/log/freeswitch/freeswitch.log", failure(from))
	}
}

// banned waits until the kernel drops an address.
func (c *container) banned(address string) {
	c.Helper()
	defer func() {
		if c.Failed() {
			c.Log(c.run("journalctl -o cat -n 40 -u 'freeswitch-security*'"))
		}
	}()
	eventually(c, 20*time.Second, address+" is banned", func() bool {
		return exec.Command("iptables", "-C", "FREESWITCH", "-s", address, "-j", "DROP").Run() == nil
	})
}

// next returns a later version of a package, with texts appended to its rule files.
func (c *container) next(deb, version string, more map[string]string) string {
	c.Helper()
	dir := c.TempDir()
	tree := filepath.Join(dir, "tree")
	mustRun(c, "dpkg-deb", "-R", deb, tree)
	control := filepath.Join(tree, "DEBIAN", "control")
	mustRun(c, "sed", "-i", "s/^Version: .*/Version: "+version+"/", control)
	for name, text := range more {
		path := filepath.Join(tree, confRules, name)
		old, err := os.ReadFile(path)
		if err != nil {
			c.Fatal(err)
		}
		if err := os.WriteFile(path, append(old, text...), 0o644); err != nil {
			c.Fatal(err)
		}
	}
	later := filepath.Join(dir, "later.deb")
	mustRun(c, "dpkg-deb", "-Znone", "-b", tree, later)
	return later
}

// firewall returns the chains, rules and sets.
func (c *container) firewall() string {
	c.Helper()
	return mustRun(c, "iptables", "-S") + mustRun(c, "ip6tables", "-S") + mustRun(c, "ipset", "list", "-n")
}

// nothingLeft demands that a purge has removed everything of the package.
func (c *container) nothingLeft() {
	c.Helper()
	if left := c.firewall(); strings.Contains(strings.ToLower(left), "freeswitch") {
		c.Errorf("left in the firewall by the purge:\n%s", left)
	}
	for _, program := range []string{"getent passwd freeswitch-security", "getent group freeswitch-security", "systemctl is-active freeswitch-security"} {
		if out, err := c.run(program); err == nil {
			c.Errorf("%s: %s", program, out)
		}
	}
	err := filepath.WalkDir(c.root, func(path string, entry fs.DirEntry, err error) error {
		switch name := strings.TrimPrefix(path, c.root); {
		case err != nil:
			return err
		case slices.Contains([]string{"/proc", "/sys", "/dev", "/run"}, name):
			return fs.SkipDir
		case strings.Contains(entry.Name(), "freeswitch-security"):
			c.Errorf("left by the purge: %s", name)
		}
		return nil
	})
	if err != nil {
		c.Error(err)
	}
}
