package main

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
)

// TestHalfOpen: where the port is taken the socket is opened all the same, it is
// closed once nobody asks for it, and each reload tries again.
func TestHalfOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	l := newListening(&engine.Guard{}, log)
	t.Cleanup(l.close)
	asked := &config.Admin{Listen: taken.Addr().String(), Socket: filepath.Join(t.TempDir(), "admin.sock"), Mode: 0o600}
	for range 2 {
		if err := l.agree(t.Context(), asked); err == nil {
			t.Fatal("a port that is taken was opened")
		}
		if _, err := os.Stat(asked.Socket); err != nil {
			t.Fatal(err)
		}
	}
	(&running{admin: l, log: log, wanted: asked}).listen(t.Context())
	if !strings.Contains(said.String(), "not open everywhere") || strings.Contains(said.String(), "nobody") || strings.Contains(said.String(), "needs no token") {
		t.Errorf("with the socket alone:\n%s", &said)
	}
	if err := l.agree(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(asked.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket that nobody asks for: %v, want %v", err, fs.ErrNotExist)
	}
	if err := l.agree(t.Context(), asked); err == nil {
		t.Fatal("a port that is taken was opened")
	}
	taken.Close()
	if err := l.agree(t.Context(), asked); err != nil {
		t.Errorf("once the port is free: %v", err)
	}
	if !strings.Contains(said.String(), "needs no token") {
		t.Errorf("with a port:\n%s", &said)
	}
}
