//go:build kernel

package kernel

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unprivileged is the uid and gid of a user without rights.
const unprivileged = 65534

// TestWithoutRoot runs the daemon as an unprivileged user, in each of the documented ways, and in
// one that is documented not to work.
func TestWithoutRoot(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string    // capabilities of the binary, as setcap writes them
		ambient []uintptr // as systemd's AmbientCapabilities
		missing string    // the capability that it must report as missing; "": it works
	}{
		{"setcap", "cap_net_admin,cap_net_raw=+ep", nil, ""},
		{"ambient, as the unit gives them", "", []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}, ""},
		{"no capability", "", nil, "CAP_NET_ADMIN"},
	} {
		for _, backend := range []string{"rules", "ipset"} {
			t.Run(c.name+", "+backend, func(t *testing.T) {
				d := prepare(t, `backend = "`+backend+`"`, atOnce)
				d.program = ownBinary(t, c.file)
				d.sys = &syscall.SysProcAttr{
					Credential:  &syscall.Credential{Uid: unprivileged, Gid: unprivileged},
					AmbientCaps: c.ambient,
				}
				d.handOver(t)
				d.start()
				d.write(failure("198.18.0.1"))
				if c.missing != "" {
					eventually(t, 5*time.Second, "the missing capability is reported", func() bool { return strings.Contains(d.said.String(), c.missing) })
					if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
					if err := <-d.done; err == nil || d.cmd.ProcessState.ExitCode() != 2 {
						t.Errorf("without protection it ended with %v", err)
					}
					return
				}
				eventually(t, 5*time.Second, "the address is in the kernel\n"+d.said.String(), func() bool {
					return inSet("198.18.0.1") || exec.Command("iptables", "-C", "FREESWITCH", "-s", "198.18.0.1", "-j", "DROP").Run() == nil
				})
			})
		}
	}
}

// ownBinary copies the daemon to where every user can start it, with file capabilities.
func ownBinary(t *testing.T, capabilities string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "freeswitch-security-rights-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "freeswitch-security")
	from, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if capabilities == "" {
		return path
	}
	if out, err := exec.Command("setcap", capabilities, path).CombinedOutput(); err != nil {
		t.Fatalf("setcap: %v: %s", err, out)
	}
	return path
}

// handOver gives the daemon's files to the unprivileged user.
func (d *daemon) handOver(t *testing.T) {
	t.Helper()
	// Only the owner can enter the directory above that of a test.
	if err := os.Chmod(filepath.Dir(d.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, unprivileged, unprivileged)
	})
	if err != nil {
		t.Fatal(err)
	}
}
