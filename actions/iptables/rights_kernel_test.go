//go:build kernel

package iptables

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/ban"

	"golang.org/x/sys/unix"
)

const childVar = "IPTABLES_TEST_CHILD" // "variant backend" that the child tries

// TestKernelRightsChild is run by TestKernelRights as another user.
func TestKernelRightsChild(t *testing.T) {
	variant, backend, ok := strings.Cut(os.Getenv(childVar), " ")
	if !ok {
		t.Skip("runs as a child of TestKernelRights")
	}
	a := parse(t, `backend = "`+backend+`"`)
	for _, f := range a.families {
		f.program += "-" + variant
	}
	bans := many(3, time.Now().Add(time.Hour))
	_, err := a.Resync(t.Context(), slices.Values(bans))
	if err == nil {
		err = a.Apply(t.Context(), ban.BatchOf(time.Now(), banned("203.0.113.7/32", time.Time{})))
	}
	if err == nil {
		err = a.Withdraw(t.Context())
	}
	fmt.Println("child:", err)
}

// TestKernelRights proves which capabilities suffice without root, and that the missing
// one is named.
func TestKernelRights(t *testing.T) {
	admin, raw := uintptr(unix.CAP_NET_ADMIN), uintptr(unix.CAP_NET_RAW)
	for _, c := range []struct {
		name, try string
		caps      []uintptr
		ownLock   bool // XTABLES_LOCKFILE is a file that the user may write
		want      string
	}{
		{"nothing", "nft rules", nil, false, "CAP_NET_ADMIN is missing"},
		{"nothing, a set", "nft ipset", nil, false, "CAP_NET_ADMIN is missing"},
		{"both", "nft rules", []uintptr{admin, raw}, false, "child: <nil>"},
		{"both, a set", "nft ipset", []uintptr{admin, raw}, false, "child: <nil>"},
		{"admin only", "nft rules", []uintptr{admin}, false, "child: <nil>"},
		{"admin only, a set", "nft ipset", []uintptr{admin}, false, "CAP_NET_RAW is missing"},
		{"legacy, root's lock file", "legacy rules", []uintptr{admin, raw}, false, "chmod 644 /run/xtables.lock"},
		{"legacy, own lock file", "legacy rules", []uintptr{admin, raw}, true, "child: <nil>"},
		{"legacy, own lock file, a set", "legacy ipset", []uintptr{admin, raw}, true, "child: <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKernel(t, "nft")
			k.iptables("-S") // as root once, so that the lock file is root's
			dir := openDir(t)
			cmd := exec.Command(copyOfTest(t, dir), "-test.run=^TestKernelRightsChild$", "-test.v")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), childVar+"="+c.try)
			if c.ownLock {
				cmd.Env = append(cmd.Env, "XTABLES_LOCKFILE="+filepath.Join(dir, "lock"))
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
				AmbientCaps: c.caps,
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) || strings.Count(string(out), "is missing") > 1 {
				t.Errorf("%v: %s\nwant %q, and what is missing once", err, out, c.want)
			}
		})
	}
}

// openDir returns a directory for all users; those of package testing are not.
func openDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "iptables-rights")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func copyOfTest(t *testing.T, dir string) string {
	path := filepath.Join(dir, "test")
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestKernelHeldLock: another program holds the lock of legacy iptables. The action
// waits for it, and reports it after a timeout.
func TestKernelHeldLock(t *testing.T) {
	if testing.Short() {
		t.Skip("waits seconds for a lock")
	}
	lock := filepath.Join(t.TempDir(), "lock")
	t.Setenv("XTABLES_LOCKFILE", lock)
	k := newKernel(t, "legacy")
	a := k.action("ipv6 = false")
	k.resync(a)
	held, err := os.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	fd := int(held.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = a.Resync(t.Context(), slices.Values[[]ban.Ban](nil))
	if err == nil || !strings.Contains(err.Error(), "another program has held the lock for 5s") || time.Since(began) > lockWait+2*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = unix.Flock(fd, unix.LOCK_UN) })
	k.quiet(a)
}

// TestKernelRefusedEntry: an entry that the kernel refuses does not affect the others.
func TestKernelRefusedEntry(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action("backend = \"ipset\"\nipv6 = false")
	k.resync(a)
	s, err := dial(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	entries := make([]entry, 0, 5002)
	for i, b := range many(5000, time.Time{}) {
		if i == 10 || i == 3000 { // an IPv6 address in an IPv4 set
			entries = append(entries, entry{target: ban.Address(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}))})
		}
		entries = append(entries, entry{target: b.Target})
	}
	refused, err := s.send(cmdAdd, unix.AF_INET, "freeswitch-blocked", entries)
	if err != nil || len(refused) != 2 {
		t.Errorf("%v, %v", refused, err)
	}
	if n := len(k.members("freeswitch-blocked")); n != 5000 {
		t.Errorf("%d other entries were added", n)
	}
}
