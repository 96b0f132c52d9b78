package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"
)

// lockWait is how long iptables waits for another program's lock. Without a bound
// the legacy variant waits for ever.
const lockWait = 5 * time.Second

var wait = strconv.Itoa(int(lockWait / time.Second))

// sbin are the directories that a plain user's PATH lacks on Debian.
var sbin = []string{"/usr/sbin", "/sbin", "/usr/local/sbin"}

// A toolset is the iptables of one family on this host.
type toolset struct {
	list    string // path of iptables or ip6tables
	restore string // path of the restore program
	version string // "v1.8.9 (nf_tables)"
	family  iptables.Protocol
	ahead   ahead
}

// find looks for name ("iptables") and its restore program, and reads the version.
func find(ctx context.Context, name string, v6 bool) (*toolset, error) {
	t := &toolset{family: iptables.ProtocolIPv4}
	if v6 {
		t.family = iptables.ProtocolIPv6
	}
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
	return t, nil
}

// lookPath searches PATH and sbin for a program.
func lookPath(name string) (string, error) {
	for _, dir := range append([]string{""}, sbin...) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s not found in PATH or %s: apt-get install iptables", name, strings.Join(sbin, ", "))
}

// listing lists one table, with further options.
func (t *toolset) listing(ctx context.Context, table string, options ...string) (listing, error) {
	out, err := run(ctx, t.list, "", append([]string{"-w", wait, "-t", table, "-S"}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("list table %s: %w", table, err)
	}
	return parseListing(out), nil
}

// commit passes plans to iptables-restore, which commits each table atomically.
func (t *toolset) commit(ctx context.Context, plans []plan) error {
	input := restoreInput(plans)
	if input == "" {
		return nil
	}
	if done, err := t.ahead.run(ctx, input); done {
		return err
	}
	_, err := run(ctx, t.restore, input, restoreArgs...)
	return err
}

var restoreArgs = []string{"--noflush", "--wait=" + wait}

// prepare makes the next commit quick.
func (t *toolset) prepare() { t.ahead.prepare(t.restore, restoreArgs...) }

// verify fails unless iptables itself finds every jump that plans have written.
func (t *toolset) verify(plans []plan, g goal) error {
	var rules *iptables.IPTables // runs a program when it is made; most plans write no jump
	for _, p := range plans {
		for _, name := range p.jumped {
			if rules == nil {
				var err error
				if rules, err = iptables.New(iptables.Path(t.list), iptables.IPFamily(t.family), iptables.Timeout(int(lockWait/time.Second))); err != nil {
					return fmt.Errorf("%s --version: %w", t.list, err)
				}
			}
			for _, match := range g.matches {
				found, err := rules.Exists(p.table, name, words(jumpRule(match, g.chain))...)
				if err == nil && !found {
					err = errors.New("the rule was written and does not exist")
				}
				if err != nil {
					return fmt.Errorf("jump from %s: %w", hook{p.table, name}, err)
				}
			}
		}
	}
	return nil
}

// loaded reports whether a table is in use. The legacy variant loads a table that it
// only lists, and every packet then passes it.
func (t *toolset) loaded(table string, v6 bool) bool {
	if !strings.Contains(t.version, "legacy") {
		return true
	}
	names := "/proc/thread-self/net/ip_tables_names"
	if v6 {
		names = "/proc/thread-self/net/ip6_tables_names"
	}
	loaded, err := os.ReadFile(names)
	return err == nil && slices.Contains(strings.Fields(string(loaded)), table)
}

// hasIPv6 reports whether the kernel has IPv6. Without it (ipv6.disable=1) there is
// nothing to drop, and ip6tables fails.
func hasIPv6() bool {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	return err == nil
}
