package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"freeswitch-security/engine/config"

	"golang.org/x/sys/unix"
)

func claiming(names ...string) *config.Config {
	return &config.Config{Actions: []config.Action{{Claims: names}}}
}

// TestClaims: what one guard has claimed another cannot, until it is released; a refused
// configuration leaves nothing claimed.
func TestClaims(t *testing.T) {
	chain := func(s string) string { return fmt.Sprintf("chain %s of test %d", s, os.Getpid()) }
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, nil))
	first, second := claims{log, map[string]net.Listener{}}, claims{log, map[string]net.Listener{}}
	defer first.keep(claiming())
	defer second.keep(claiming())
	if err := first.take(claiming(chain("A"))); err != nil {
		t.Fatal(err)
	}
	if err := first.take(claiming(chain("A"))); err != nil {
		t.Errorf("its own: %v", err)
	}
	err := second.take(claiming(chain("B"), chain("A")))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another freeswitch-security is using it: process %d (", os.Getpid())) {
		t.Fatalf("the second: %v", err)
	}
	if err := first.take(claiming(chain("A"), chain("B"))); err != nil {
		t.Errorf("the refused one kept a claim: %v", err)
	}
	first.keep(claiming(chain("B")))
	if err := second.take(claiming(chain("A"))); err != nil {
		t.Errorf("released: %v", err)
	}
	if lines.Len() > 0 {
		t.Error(lines.String())
	}
}

// TestClaimHeldByNone: a name that is bound and never listens is reported, and not obeyed.
func TestClaimHeldByNone(t *testing.T) {
	name := fmt.Sprintf("chain C of test %d", os.Getpid())
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: socketOf(name)})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var lines bytes.Buffer
	c := claims{slog.New(slog.NewTextHandler(&lines, nil)), map[string]net.Listener{}}
	if err := c.take(claiming(name)); err != nil || !strings.Contains(lines.String(), "claim held by an unknown process: ignored") {
		t.Errorf("%v: %s", err, lines.String())
	}
}
