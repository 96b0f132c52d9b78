package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// commandTimeout kills a program that hangs. It is longer than lockWait, so that a held
// lock is reported as such.
const commandTimeout = lockWait + 10*time.Second

// A commandError is the exit status other than 0 of a program.
type commandError struct {
	program string
	status  int
	text    string // its standard error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.program, e.status, explain(e.text))
}

// Is lets the denied operation of a program be [fs.ErrPermission], as that of a system call is.
func (e *commandError) Is(target error) bool {
	return target == fs.ErrPermission && lacksRights(e.text)
}

// run runs a program and returns its standard output, which is whole unless there is an error.
func run(ctx context.Context, path, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out, errText bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout, cmd.Stderr = &out, &errText
	cmd.WaitDelay = waitDelay
	err := cmd.Run()
	return out.String(), outcome(ctx, filepath.Base(path), err, &errText)
}

// waitDelay is how long the output of a program may stay open after its end.
const waitDelay = time.Second

// outcome returns the error of a program that has ended with err; nil stays nil.
func outcome(ctx context.Context, program string, err error, errText *bytes.Buffer) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s was killed: %w", program, ctx.Err())
	case errors.As(err, &exit):
		return &commandError{program, exit.ExitCode(), strings.TrimSpace(errText.String())}
	}
	return fmt.Errorf("%s: %w", program, err)
}

// environment is that of a program. It holds none of the guard's own, which may be secrets, nor
// what makes iptables load code.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "XTABLES_LOCKFILE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// changedMeanwhile reports whether iptables-restore failed because another program has
// changed a table since it was listed, or changes it now.
func changedMeanwhile(err error) bool {
	var failed *commandError
	return errors.As(err, &failed) && (failed.status == 1 || failed.status == 2 || strings.Contains(failed.text, "temporarily unavailable"))
}

// lacksRights reports whether the kernel denied a program the operation.
func lacksRights(text string) bool {
	return !strings.Contains(text, "xtables.lock") && slices.ContainsFunc(
		[]string{"Permission denied", "must be root", "Operation not permitted", "Can't open socket to ipset"},
		func(sign string) bool { return strings.Contains(text, sign) })
}

// explain adds to a program's error what to do about it.
func explain(text string) string {
	first := errorLine(text)
	switch {
	case strings.Contains(text, "xtables.lock: Permission denied"):
		return first + ": run `chmod 644 /run/xtables.lock`, or set XTABLES_LOCKFILE to a file that this user may write"
	case lacksRights(text):
		return first + ": " + whyDenied()
	case strings.Contains(text, "holding the xtables lock"), strings.Contains(text, "xtables lock"):
		return first + ": another program has held the lock for " + lockWait.String()
	case strings.Contains(text, "incompatible, use 'nft' tool"):
		return first + ": the table has rules of nft that iptables cannot read; move them to another table"
	}
	return first
}

// errorLine returns the line of an error among those of warnings.
func errorLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "set: Could not determine") {
			return line
		}
	}
	return "no error message"
}
