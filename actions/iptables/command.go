package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// commandTimeout ends a program that hangs. It is longer than lockWait, so
	// that a held lock is reported as such.
	commandTimeout = lockWait + 10*time.Second
	// tries is how often a command is run that failed for lack of a resource.
	tries = 3
	// retryPause is the first pause between tries; the next ones are longer.
	retryPause = 20 * time.Millisecond
)

// A commandError is a program that ended with an exit status other than 0.
type commandError struct {
	program string
	status  int
	text    string // what it wrote to its standard error, bounded
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.program, e.status, explain(e.text))
}

// run starts a program, once more where a resource was short, and returns its
// standard output.
func run(ctx context.Context, path, input string, args ...string) (string, error) {
	pause := retryPause
	for try := 1; ; try++ {
		began := time.Now()
		out, err := runOnce(ctx, path, input, args)
		var failed *commandError
		// Whoever waited for the lock and did not get it has waited enough.
		again := errors.As(err, &failed) && failed.status == 4 && !lacksRights(failed.text) &&
			try < tries && time.Since(began) < lockWait
		if !again {
			return out, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
			pause *= 4
		}
	}
}

func runOnce(ctx context.Context, path, input string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out bytes.Buffer
	errText := bounded{room: 4096}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout, cmd.Stderr = &out, &errText
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	program := filepath.Base(path)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s did not end: %w", program, ctx.Err())
	case errors.As(err, &exit):
		return "", &commandError{program, exit.ExitCode(), strings.TrimSpace(string(errText.kept))}
	}
	return "", fmt.Errorf("%s: %w", program, err)
}

// bounded keeps the first bytes of what is written to it.
type bounded struct {
	kept []byte
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.room)
	b.kept = append(b.kept, p[:n]...)
	b.room -= n
	return len(p), nil
}

var badLine = regexp.MustCompile(`(?m)^Error occurred at line: (\d+)$`)

// refusedLine is the number of the line of restore's input that it could not
// read, counted from 1; 0 where it failed for another reason.
func refusedLine(err error) int {
	var failed *commandError
	if !errors.As(err, &failed) || failed.status != 2 {
		return 0
	}
	m := badLine.FindStringSubmatch(failed.text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// changedUnderneath reports whether restore failed because the table is no
// longer the one that was listed: a chain or rule is gone, or has come.
func changedUnderneath(err error) bool {
	var failed *commandError
	return errors.As(err, &failed) && (failed.status == 1 || failed.status == 2)
}

// lacksRights reports whether a program was refused by the kernel.
func lacksRights(text string) bool {
	for _, sign := range []string{"Permission denied", "must be root", "Operation not permitted", "Can't open socket to ipset"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// explain adds to a program's complaint what to do about it.
func explain(text string) string {
	first := complaint(text)
	switch {
	case strings.Contains(text, "xtables.lock: Permission denied"):
		return first + ": run `chmod 644 /run/xtables.lock`, or set XTABLES_LOCKFILE to a file that this user may write"
	case lacksRights(text):
		return first + ": " + missingRights()
	case strings.Contains(text, "holding the xtables lock"), strings.Contains(text, "xtables lock"):
		return first + ": another program has held the lock for " + lockWait.String()
	case strings.Contains(text, "incompatible, use 'nft' tool"):
		return first + ": somebody else's nft rules stand in this table, which iptables cannot read"
	}
	return first
}

// complaint is the line that says what went wrong, among those that only warn.
func complaint(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "set: Could not determine") {
			return line
		}
	}
	return "it did not say why"
}
