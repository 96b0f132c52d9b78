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

// nobody is a user without rights.
const nobody = 65534

// TestWithoutRoot runs the daemon as a plain user, in each of the ways that the
// documentation promises, and in one that it says does not do.
func TestWithoutRoot(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string    // capabilities of the binary, as setcap writes them
		ambient []uintptr // as systemd's AmbientCapabilities
		missing string    // the capability that it must ask for; "": it works
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
					Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
					AmbientCaps: c.ambient,
				}
				d.handOver(t)
				d.start()
				d.write(failure("198.18.0.1"))
				if c.missing != "" {
					eventually(t, 5*time.Second, "it says what is missing", func() bool { return strings.Contains(d.said.String(), c.missing) })
					if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
					if err := <-d.done; err == nil || d.cmd.ProcessState.ExitCode() != 2 {
						t.Errorf("it protected nobody and ended with %v", err)
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

// ownBinary copies the daemon to where everybody may start it, with the
// capabilities of a file.
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

// handOver gives the daemon's files to nobody.
func (d *daemon) handOver(t *testing.T) {
	t.Helper()
	// A test's directory lies in one that only its owner may enter.
	if err := os.Chmod(filepath.Dir(d.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}
