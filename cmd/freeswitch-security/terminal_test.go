package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo-terminal of 80 columns.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keyboard, terminal
}

// shownOn runs a command line on a terminal, and returns what it shows.
func shownOn(t *testing.T, environ map[string]string, args ...string) string {
	t.Helper()
	return typedOn(t, environ, "", args...)
}

// typedOn is shownOn with something typed ahead.
func typedOn(t *testing.T, environ map[string]string, typed string, args ...string) string {
	t.Helper()
	keyboard, terminal := openTerminal(t)
	if _, err := keyboard.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	a := &app{stdin: terminal, stdout: terminal, stderr: terminal, environ: func(name string) (string, bool) {
		value, ok := environ[name]
		return value, ok
	}}
	a.execute(context.Background(), args)
	const end = "[end]"
	fmt.Fprint(terminal, end)
	if err := keyboard.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var shown []byte
	for buf := make([]byte, 4096); !bytes.HasSuffix(shown, []byte(end)); {
		n, err := keyboard.Read(buf)
		if err != nil {
			t.Fatalf("%v, after %q", err, shown)
		}
		shown = append(shown, buf[:n]...)
	}
	return strings.TrimSuffix(string(shown), end)
}

// TestTerminal demands colour on a terminal, unless NO_COLOR is set, and no progress of a replay that
// ends within a second.
func TestTerminal(t *testing.T) {
	mistake := filepath.Dir(write(t, "rules.hcl", []byte(strings.ReplaceAll(onSight, "event not in", "evnt not in"))))
	const red = "\x1b[1;31m"
	if shown := shownOn(t, nil, "check", mistake); !strings.Contains(shown, red) {
		t.Errorf("no colour: %q", shown)
	}
	if shown := shownOn(t, map[string]string{"NO_COLOR": "1"}, "check", mistake); strings.Contains(shown, "\x1b") || !strings.Contains(shown, "evnt") {
		t.Errorf("colour, though NO_COLOR is set: %q", shown)
	}
	log := write(t, "freeswitch.log", []byte(failures("203.0.113.7", 0, 5)))
	began := time.Now()
	shown := shownOn(t, nil, "replay", "--rules", shippedRules, log)
	short := time.Since(began) < time.Second // on a busy machine it may not be
	if strings.Count(shown, "203.0.113.7 ") != 2 || short && strings.Contains(shown, "\x1b") {
		t.Errorf("a short replay shows %q", shown)
	}
}
