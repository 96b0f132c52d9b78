package daemon

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/config"
)

// TestHalfOpen takes the port: the socket opens nevertheless, closes when it is no longer wanted,
// and each reload tries the port again.
func TestHalfOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	l := newAdminListener(admin.Options{Log: log})
	t.Cleanup(l.close)
	wanted := &config.Admin{Listen: taken.Addr().String(), Socket: filepath.Join(t.TempDir(), "admin.sock"), SocketMode: 0o600}
	for range 2 {
		if err := l.reconcile(t.Context(), wanted); err == nil {
			t.Fatal("a taken port was opened")
		}
		if _, err := os.Stat(wanted.Socket); err != nil {
			t.Fatal(err)
		}
	}
	(&Daemon{listener: l, log: log, admin: wanted}).listen(t.Context())
	if !strings.Contains(said.String(), "not open everywhere") || strings.Contains(said.String(), "cannot be used") || strings.Contains(said.String(), "needs no token") {
		t.Errorf("with the socket alone:\n%s", &said)
	}
	if err := l.reconcile(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(wanted.Socket); !os.IsNotExist(err) {
		t.Errorf("the unwanted socket: %v, want %v", err, fs.ErrNotExist)
	}
	if err := l.reconcile(t.Context(), wanted); err == nil {
		t.Fatal("a taken port was opened")
	}
	taken.Close()
	if err := l.reconcile(t.Context(), wanted); err != nil {
		t.Errorf("once the port is free: %v", err)
	}
	if !strings.Contains(said.String(), "needs no token") {
		t.Errorf("with a port:\n%s", &said)
	}
}
