package iptables

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// program writes a shell script in place of iptables and returns its path.
func program(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// useSbin replaces the directories that are searched beside PATH.
func useSbin(t *testing.T, dir string) {
	was := sbin
	sbin = []string{dir}
	t.Cleanup(func() { sbin = was })
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	useSbin(t, t.TempDir())
	_, err := find(t.Context(), "iptables", false)
	if err == nil || !strings.Contains(err.Error(), "iptables not found in PATH or ") || !strings.HasSuffix(err.Error(), ": apt-get install iptables") {
		t.Error(err)
	}
}

func TestFoundOutsideOfPath(t *testing.T) {
	path := program(t, "iptables", "")
	t.Setenv("PATH", t.TempDir())
	useSbin(t, filepath.Dir(path))
	if got, err := lookPath("iptables"); got != path {
		t.Error(got, err)
	}
}

func TestHungProgramIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := run(ctx, program(t, "iptables", "exec sleep 60"), "")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second || !strings.Contains(err.Error(), "iptables was killed") {
		t.Error(err, time.Since(began))
	}
}

// commitFailing commits a plan with an iptables-restore that runs script after it has
// left a mark, and returns the number of marks.
func commitFailing(t *testing.T, script string) (tried int, err error) {
	marks := filepath.Join(t.TempDir(), "marks")
	tools := &toolset{
		list:    program(t, "iptables", "echo '-P INPUT ACCEPT'"),
		restore: program(t, "iptables-restore", "marks="+marks+"\necho x >>$marks\n"+script),
	}
	a := parse(t, "")
	_, err = a.families[ipv4].commit(t.Context(), tools, &a.config, goal{chain: "FREESWITCH"}, func([]plan) []ban.Target { return nil })
	marked, _ := os.ReadFile(marks)
	return len(marked) / 2, err
}

func TestLackOfResourceIsRetried(t *testing.T) {
	tried, err := commitFailing(t, `[ $(wc -l <$marks) -ge 3 ] && exit 0
		echo 'iptables v1.8.9 (nf_tables): RULE_APPEND failed (Resource temporarily unavailable)' >&2; exit 4`)
	if tried != 3 || err != nil {
		t.Errorf("tried %d times: %v", tried, err)
	}
}

func TestLackOfRightsIsNotRetried(t *testing.T) {
	tried, err := commitFailing(t, `
		echo 'iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)' >&2; exit 4`)
	if err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "CAP_NET_ADMIN") || tried != 1 {
		t.Errorf("tried %d times: %v", tried, err)
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		"Fatal: can't open lock file /run/xtables.lock: Permission denied":                                                "chmod 644 /run/xtables.lock",
		"Another app is currently holding the xtables lock; still 4s 0us time ahead to have a chance to grab the lock...": "has held the lock for 5s",
		"iptables v1.8.9 (nf_tables): Can't open socket to ipset.":                                                        "CAP_NET_",
		"iptables v1.8.9 (nf_tables): table `filter' is incompatible, use 'nft' tool.":                                    "rules of nft",
		"": "no error message",
		"# Warning: x\nset: Could not determine whether revision 4 is supported, assuming it is.\niptables: bad": "iptables: bad",
		"iptables: No chain/target/match by that name.":                                                          "No chain/target/match by that name.",
	} {
		if got := explain(text); !strings.Contains(got, want) {
			t.Errorf("%s\n%s", text, got)
		}
	}
}

func TestDescribeRights(t *testing.T) {
	caps := func(values ...cap.Value) func(cap.Value) bool {
		return func(c cap.Value) bool { return slices.Contains(values, c) }
	}
	both := caps(cap.NET_ADMIN, cap.NET_RAW)
	for _, c := range []struct {
		effective, ambient func(cap.Value) bool
		root               bool
		want               string
	}{
		{caps(), caps(), false, "CAP_NET_ADMIN is missing"},
		{caps(cap.NET_ADMIN), caps(cap.NET_ADMIN), false, "CAP_NET_RAW is missing"},
		{both, caps(), false, "CAP_NET_ADMIN is not ambient"},
		{both, both, false, ""},
		{both, caps(), true, ""},
	} {
		if got := describeRights(c.effective, c.ambient, c.root); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("root %v: %s", c.root, got)
		}
	}
}

func TestChangedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		script  string
		changed bool
	}{
		{"echo \"iptables-restore: Set x doesn't exist.\" >&2; echo 'Error occurred at line: 2' >&2; exit 2", true},
		{"echo 'iptables-restore: line 2 failed' >&2; exit 1", true},
		{"echo 'Fatal: no' >&2; exit 3", false},
	} {
		tools := &toolset{restore: program(t, "iptables-restore", c.script)}
		err := tools.commit(t.Context(), []plan{{table: "filter", lines: []string{"-A FREESWITCH -m set --match-set x src -j DROP"}}})
		if err == nil || changedMeanwhile(err) != c.changed {
			t.Errorf("%s: %v", c.script, err)
		}
	}
}

// TestEnvironment: a program gets nothing of the guard's own environment that it does not need.
func TestEnvironment(t *testing.T) {
	t.Setenv("ESL_PASSWORD", "secret")
	t.Setenv("XTABLES_LIBDIR", "/tmp/lib")
	t.Setenv("XTABLES_LOCKFILE", "/run/lock")
	out, err := run(t.Context(), "/usr/bin/env", "")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(strings.Lines(out))
	want := []string{"LC_ALL=C\n", "PATH=" + os.Getenv("PATH") + "\n", "XTABLES_LOCKFILE=/run/lock\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
