package iptables

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// prepared returns a toolset whose iptables-restore is a script, one of which waits.
func prepared(t *testing.T, script string) *toolset {
	tools := &toolset{restore: program(t, "iptables-restore", script)}
	tools.prepare()
	t.Cleanup(tools.ahead.release)
	return tools
}

func TestProgramStartedAheadTakesTheInput(t *testing.T) {
	dir := t.TempDir()
	tools := prepared(t, "echo x >>"+dir+"/starts; cat >>"+dir+"/input")
	p := []plan{{table: "filter", lines: []string{"-A FREESWITCH -s 203.0.113.7/32 -j DROP"}}}
	if err := tools.commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	starts, _ := os.ReadFile(filepath.Join(dir, "starts"))
	input, _ := os.ReadFile(filepath.Join(dir, "input"))
	if string(starts) != "x\n" || string(input) != restoreInput(p) {
		t.Errorf("%q started, input %q", starts, input)
	}
}

func TestProgramStartedAheadFails(t *testing.T) {
	tools := prepared(t, "cat >/dev/null; echo 'iptables-restore: line 2 failed' >&2; exit 1")
	err := tools.commit(t.Context(), []plan{{table: "filter", lines: []string{"-N X"}}})
	if !changedMeanwhile(err) || !strings.Contains(err.Error(), "exit status 1: iptables-restore: line 2 failed") {
		t.Error(err)
	}
}

func TestProgramStartedAheadHangs(t *testing.T) {
	tools := prepared(t, "exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := tools.commit(ctx, []plan{{table: "filter", lines: []string{"-N X"}}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "iptables-restore was killed") {
		t.Error(err)
	}
}

// TestProgramStartedAheadDoesNotEnd: a program that hangs does not keep the guard from ending.
func TestProgramStartedAheadDoesNotEnd(t *testing.T) {
	tools := &toolset{restore: program(t, "iptables-restore", "exec sleep 60")}
	tools.prepare()
	done := make(chan struct{})
	go func() {
		tools.ahead.release()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("not ended after 20 s")
	}
}

// TestProgramStartedAheadHasEnded: what waits may be killed, or the input may be too long for it.
func TestProgramStartedAheadHasEnded(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	tools := prepared(t, "[ -e "+input+" ] || { >"+input+"; exit 3; }; cat >>"+input)
	w := <-tools.ahead.next
	if err := unix.Waitid(unix.P_PID, w.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	tools.ahead.next <- w
	p := []plan{{table: "filter", lines: []string{"-N X"}}}
	if err := tools.commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	long := []plan{{table: "filter", lines: []string{strings.Repeat("#", maxAhead)}}}
	tools.prepare()
	if err := tools.commit(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	tools.ahead.release()
	if got, _ := os.ReadFile(input); string(got) != restoreInput(p)+restoreInput(long) {
		t.Errorf("input %.80q", got)
	}
}
