package iptables

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
)

// To start iptables-restore takes 1 to 3 ms, and meanwhile a new attacker's packets get through.
// What it does with its input takes a third of a millisecond. So the next one is started ahead, and
// waits for its input. It has read nothing of the tables by then and holds no lock, and it ends if
// this process does.

// maxAhead bounds the input of a program that was started ahead, in bytes. A pipe takes it as a
// whole or, if the program has ended, not at all.
const maxAhead = 4 << 10

// ahead starts iptables-restore before it is needed. The goroutine of Apply alone uses it.
type ahead struct {
	next chan *waiting // has what prepare has started; nil if that failed
}

// A waiting is a program that waits for its input.
type waiting struct {
	cmd     *exec.Cmd
	input   io.WriteCloser
	errText bytes.Buffer
}

// prepare starts a program in the background, if none waits.
func (a *ahead) prepare(path string, args ...string) {
	if a.next != nil {
		return
	}
	next := make(chan *waiting, 1)
	a.next = next
	go func() {
		w := &waiting{cmd: exec.Command(path, args...)}
		w.cmd.Env, w.cmd.Stderr, w.cmd.WaitDelay = environment(), &w.errText, waitDelay
		var err error
		if w.input, err = w.cmd.StdinPipe(); err == nil {
			err = w.cmd.Start()
		}
		if err != nil { // the start that follows tells why
			w = nil
		}
		next <- w
	}()
}

// run passes input to the program that waits. It reports false if there is none, so that nothing
// was done.
func (a *ahead) run(ctx context.Context, input string) (done bool, err error) {
	if a.next == nil || len(input) > maxAhead {
		return false, nil
	}
	w := <-a.next
	if a.next = nil; w == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	_, failed := io.WriteString(w.input, input)
	_ = w.input.Close()
	stop := context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })
	err = w.cmd.Wait()
	stop()
	if failed != nil {
		return false, nil // it had ended before
	}
	return true, outcome(ctx, filepath.Base(w.cmd.Path), err, &w.errText)
}

// release ends the program that waits. It has done nothing, so it need not end by itself.
func (a *ahead) release() {
	if a.next == nil {
		return
	}
	if w := <-a.next; w != nil {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	}
	a.next = nil
}
