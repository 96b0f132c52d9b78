package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"freeswitch-security/engine/ban"
)

// A screenful is output that a test reads while it grows.
type screenful struct {
	mu    sync.Mutex // guards text
	text  bytes.Buffer
	grown chan struct{} // has a slot that is filled when something was written
}

func newScreenful() *screenful { return &screenful{grown: make(chan struct{}, 1)} }

func (s *screenful) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

// shows waits until the output has a part; the test's own time limit ends that.
func (s *screenful) shows(part string) string {
	for {
		s.mu.Lock()
		text := s.text.String()
		s.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		<-s.grown
	}
}

// start runs a verb beside the test until the returned function ends it, which
// gives its exit status.
func start(admin string, out, errs *screenful, args ...string) (end func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	status := make(chan int, 1)
	a := &app{stdout: out, stderr: errs, environ: func(name string) (string, bool) { return admin, name == "FREESWITCH_SECURITY_ADMIN" }}
	go func() { status <- a.execute(ctx, args) }()
	return func() int {
		cancel()
		return <-status
	}
}

// TestWatch watches the ban of a rule, and bans and unbans by the command line.
func TestWatch(t *testing.T) {
	g := guard(t)
	table, lines, errs := newScreenful(), newScreenful(), newScreenful()
	endTable := start(g.socket, table, errs, "watch")
	endLines := start(g.socket, lines, errs, "watch", "--json")
	for i := 0; !strings.Contains(table.now(), "by hand") || !strings.Contains(lines.now(), "by hand"); i++ {
		// Until both have seen a ban: a verdict before they watch is not for them.
		g.want(0, nil, "ban", fmt.Sprintf("192.0.2.%d", 1+i%2), "--reason", "by hand")
		g.want(0, nil, "unban", "192.0.2.1", "192.0.2.2")
	}
	g.attack("203.0.113.7", "a\x1b[2Jb", 3)
	g.decided()
	shown := table.shows("203.0.113.7")
	if !strings.HasPrefix(shown, "TIME (UTC) ") || strings.Count(shown, "TIME (UTC)") != 1 || !strings.Contains(shown, "2h         password guessing") {
		t.Errorf("shown:\n%s", shown)
	}
	if !strings.Contains(shown, "by hand") || !strings.Contains(shown, "unban") {
		t.Errorf("shown:\n%s", shown)
	}
	shown = lines.shows("203.0.113.7")
	changes := decoded[ban.Change](t, shown)
	if n := changes[len(changes)-1]; n.Kind != ban.KindBan || n.Target.String() != "203.0.113.7" || n.Rule != "password guessing" || len(n.Evidence) != 3 {
		t.Errorf("%+v", n)
	}
	if strings.Contains(shown+table.now(), "\x1b") {
		t.Errorf("unescaped: %q", shown)
	}
	if status := endTable(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if status := endLines(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if text := errs.now(); text != "" {
		t.Errorf("said %q", text)
	}
}

func (s *screenful) now() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestWatchComesBack watches through a restart of the daemon.
func TestWatchComesBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	first, broken := streaming(t, socket, "203.0.113.1")
	out, errs := newScreenful(), newScreenful()
	end := start(socket, out, errs, "watch")
	out.shows("203.0.113.1")
	close(broken)
	first.Close()
	errs.shows("trying again")
	second, _ := streaming(t, socket, "203.0.113.2")
	out.shows("203.0.113.2")
	if said := errs.shows("watching again"); strings.Count(said, "\n") != 4 || strings.Count(said, "2 changes not seen") != 2 {
		t.Errorf("said %q", said)
	}
	if status := end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	second.Close()
}

// streaming is a daemon that tells of one ban, and goes on until broken is closed
// or the reader has gone.
func streaming(t *testing.T, socket, ip string) (*httptest.Server, chan struct{}) {
	t.Helper()
	broken := make(chan struct{})
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: lost\ndata: {\"lost\":2}\n\nevent: ban\nid: 1\ndata: {\"kind\":\"ban\",\"target\":%q}\n\n", ip)
		w.(http.Flusher).Flush()
		select {
		case <-broken:
		case <-r.Context().Done():
		}
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	return server, broken
}
