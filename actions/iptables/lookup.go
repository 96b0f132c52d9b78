package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"
)

// lockWait is how long iptables waits for another program's lock. Without a
// bound the legacy variant waits for ever.
const lockWait = 5 * time.Second

// sbin are the directories that a plain user's PATH lacks on Debian.
var sbin = []string{"/usr/sbin", "/sbin", "/usr/local/sbin"}

// A toolset is iptables of one family, found on this machine.
type toolset struct {
	list    string // path of iptables or ip6tables
	restore string // path of the restore program beside it
	version string // "v1.8.9 (nf_tables)"
	waits   bool   // the restore program knows --wait
	old     bool   // it is older than oldest
	rules   *iptables.IPTables
}

// find looks for name ("iptables") and its restore program, and asks for the
// version.
func find(ctx context.Context, name string, v6 bool) (*toolset, error) {
	t := &toolset{}
	var err error
	if t.list, err = lookPath(name); err != nil {
		return nil, err
	}
	if t.restore, err = lookPath(name + "-restore"); err != nil {
		return nil, err
	}
	out, err := run(ctx, t.list, "", "--version")
	if err != nil {
		return nil, err
	}
	_, t.version, _ = strings.Cut(strings.TrimSpace(out), " ")
	protocol := iptables.ProtocolIPv4
	if v6 {
		protocol = iptables.ProtocolIPv6
	}
	t.rules, err = iptables.New(iptables.Path(t.list), iptables.IPFamily(protocol), iptables.Timeout(int(lockWait/time.Second)))
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", name, err)
	}
	major, minor, patch := t.rules.GetIptablesVersion()
	version := major*10000 + minor*100 + patch
	t.waits, t.old = version >= 10602, version < 10600
	return t, nil
}

// oldest is the first version that has all the options which are used.
const oldest = "v1.6.0"

func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range sbin {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s not found in PATH or %s: apt-get install iptables", name, strings.Join(sbin, ", "))
}

// stands asks iptables itself whether a rule is there, which is the last word
// after a jump was written.
func (t *toolset) stands(ctx context.Context, table, chain, spec string) error {
	found := make(chan error, 1)
	go func() { // go-iptables takes no context; its iptables ends by itself after lockWait
		ok, err := t.rules.Exists(table, chain, words(spec)...)
		if err == nil && !ok {
			err = errors.New("it was written and is not there")
		}
		found <- err
	}()
	select {
	case err := <-found:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasIPv6 reports whether the kernel speaks IPv6 at all: where it does not
// (ipv6.disable=1), ip6tables fails and there is nothing to drop.
func hasIPv6() bool {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	return err == nil
}
