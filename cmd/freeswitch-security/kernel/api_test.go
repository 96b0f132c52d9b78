//go:build kernel

package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onSocket serves the HTTP API on a unix socket only.
const onSocket = `
admin {
  listen = ""
  socket = %q
}
`

// adminSocket returns a path for the socket. That of t.TempDir can exceed the kernel's limit of
// 107 bytes.
func adminSocket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "freeswitch-security-api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "admin.sock")
}

// An api is the HTTP API of a daemon.
type api struct {
	testing.TB
	client *http.Client
}

func askingAt(t testing.TB, socket string) *api {
	const connections = 16
	transport := &http.Transport{
		MaxIdleConnsPerHost: connections,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &api{t, &http.Client{Transport: transport, Timeout: time.Minute}}
}

// ask makes a request and returns the answer. It is safe for concurrent use.
func (a *api) ask(method, path, body string) (status int, answer string, err error) {
	request, err := http.NewRequestWithContext(a.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// does makes a request that must succeed, and decodes the answer into a value.
func (a *api) does(method, path, body string, into any) {
	a.Helper()
	status, answer, err := a.ask(method, path, body)
	if err != nil || status != http.StatusOK {
		a.Fatalf("%s %s: %d %v: %s", method, path, status, err, answer)
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		a.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

// A change is the answer to ban, unban, trust and untrust.
type change struct {
	Target, Status, Error, Message, Why string
	Applied                             bool
	Unbanned                            []string
	ExpiresAt                           time.Time
}

// A sourceState is the status of a source.
type sourceState struct {
	Name, Fault                  string
	Running                      bool
	Events, Lost, Lines, Skipped int64
}

// source returns the status of a source. It is at most 250 ms old.
func (a *api) source(name string) sourceState {
	a.Helper()
	var all struct{ Sources []sourceState }
	a.does("GET", "/security/sources", "", &all)
	for _, s := range all.Sources {
		if s.Name == name {
			return s
		}
	}
	a.Fatalf("no source %s: %+v", name, all)
	return sourceState{}
}

// TestAPIRefuses requests bans of trusted targets: the answer says why they are refused, and the
// kernel does not get them.
func TestAPIRefuses(t *testing.T) {
	socket := adminSocket(t)
	d := prepare(t, `backend = "ipset"`, fmt.Sprintf(onSocket, socket)+office).start()
	a := askingAt(t, socket)
	trusted := fmt.Sprintf("trusted: office (%s:%d)", filepath.Join(d.dir, "rules.d", "rules.hcl"), d.line("198.18.7.0/24"))
	for _, c := range []struct {
		ip     string
		status int
		why    string
	}{
		{"0.0.0.0/0", http.StatusBadRequest, "0.0.0.0/0 is too wide"},
		{"::/0", http.StatusBadRequest, "::/0 is too wide"},
		{"::ffff:0.0.0.0/96", http.StatusBadRequest, "too wide"},
		{"0.0.0.0/1", http.StatusBadRequest, "too wide"},
		{"2000::/3", http.StatusBadRequest, "too wide"},
		{"198.18.7.7", http.StatusConflict, trusted},
		{"::ffff:198.18.7.7", http.StatusConflict, trusted},
		{"198.18.7.0/25", http.StatusConflict, trusted},
		{"198.18.0.0/16", http.StatusConflict, trusted}, // contains the office
		{"2001:db8:7::7", http.StatusConflict, "trusted: office"},
		{switchAddress, http.StatusConflict, "this host"},
		{"10.77.0.0/24", http.StatusConflict, "this host"},
		{switchAddress6, http.StatusConflict, "this host"},
		{"fd77::/64", http.StatusConflict, "this host"},
		{"127.0.0.1", http.StatusConflict, "trusted"},
		{"::1", http.StatusConflict, "trusted"},
		{"fe80::1", http.StatusConflict, "trusted"},
	} {
		status, answer, err := a.ask("POST", "/security/blacklist", fmt.Sprintf(`{"ip": %q}`, c.ip))
		if err != nil || status != c.status || !strings.Contains(answer, c.why) {
			t.Errorf("%s: %d %v %s, want %d and %q", c.ip, status, err, answer, c.status, c.why)
		}
	}
	var none map[string]any
	if a.does("GET", "/security/blacklist", "", &none); len(none) > 0 || members(t) > 0 {
		t.Errorf("banned: %v, in the kernel: %d", none, members(t))
	}
	a.does("POST", "/security/blacklist", `{"ip": "198.18.8.1"}`, &change{})
	if !inSet("198.18.8.1") {
		t.Error("no address can be banned")
	}
}

const office = `
trusted "office" {
  networks = [
    "198.18.7.0/24",
    "2001:db8:7::/48",
  ]
}
`

// line returns the line number of a text in the rule file.
func (d *daemon) line(text string) int {
	d.Helper()
	file, err := os.ReadFile(filepath.Join(d.dir, "rules.d", "rules.hcl"))
	before, _, found := strings.Cut(string(file), text)
	if err != nil || !found {
		d.Fatalf("no %q in the rules: %v", text, err)
	}
	return strings.Count(before, "\n") + 1
}

// TestAPIBlocksPackets bans and trusts addresses of both families manually, and listens for their
// packets.
func TestAPIBlocksPackets(t *testing.T) {
	inInternet(t, "ip", "route", "replace", "local", "198.51.100.0/24", "dev", "lo")
	own6(t, "2001:db8:8::5", "2001:db8:8::6", "2001:db8:9::5")
	for _, backend := range []string{"rules", "ipset"} {
		t.Run(backend, func(t *testing.T) {
			socket := adminSocket(t)
			prepare(t, `backend = "`+backend+`"`, fmt.Sprintf(onSocket, socket)).start()
			a, e := askingAt(t, socket), listen(t)
			reachable6(t, e, "2001:db8:8::6")
			for _, c := range []struct{ ip, written, as string }{
				{"198.18.8.1", "198.18.8.1", "198.18.8.1"},
				{"198.51.100.8", "::ffff:198.51.100.8", "198.51.100.8"},
				{"198.18.9.77", "198.18.9.64/26", "198.18.9.64/26"},
				{"2001:db8:8::5", "2001:db8:8::5", "2001:db8:8::5"},
				{"2001:db8:9::5", "2001:db8:9::/64", "2001:db8:9::/64"},
			} {
				answered := time.Time{}
				took := silenced(t, e, c.ip, func() {
					var done change
					a.does("POST", "/security/blacklist", fmt.Sprintf(`{"ip": %q, "ttl": "10m"}`, c.written), &done)
					answered = time.Now()
					if done.Target != c.as || !done.Applied {
						t.Errorf("%s: %+v", c.written, done)
					}
				})
				stop := chatter(t, c.ip, time.Millisecond)
				n, last := e.heard(c.ip)
				t.Logf("%s: the last packet got through %s after the request", c.written, took)
				if last.After(answered) {
					t.Errorf("%s: a packet got through %s after the answer", c.written, last.Sub(answered))
				}
				pause(50 * time.Millisecond)
				if now, _ := e.heard(c.ip); now != n {
					t.Errorf("%d packets of %s got through", now-n, c.ip)
				}

				var done change
				a.does("POST", "/security/whitelist", fmt.Sprintf(`{"ip": %q, "ttl": "10m"}`, c.written), &done)
				eventually(t, time.Second, "trust lets packets of "+c.ip+" through", func() bool { now, _ := e.heard(c.ip); return now > n+5 })
				if len(done.Unbanned) != 1 || done.Unbanned[0] != c.as || !done.Applied {
					t.Errorf("%s: %+v", c.written, done)
				}
				stop()
			}
			reachable6(t, e, "2001:db8:8::6") // the neighbour of a single banned address
		})
	}
}

// own6 adds addresses to the second namespace: an IPv6 sender needs its address, for IPv4 a route
// is enough.
func own6(t testing.TB, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		inInternet(t, "ip", "addr", "replace", a+"/128", "dev", "lo", "nodad")
	}
}

// reachable6 waits until packets of an address get through. Neighbour discovery on a new link takes
// seconds.
func reachable6(t testing.TB, e *ear, ip string) {
	t.Helper()
	stop := chatter(t, ip, time.Millisecond)
	defer stop()
	before, _ := e.heard(ip)
	eventually(t, 10*time.Second, "packets of "+ip+" get through", func() bool { n, _ := e.heard(ip); return n > before+5 })
}

// inInternet runs a command in the second namespace.
func inInternet(t testing.TB, command ...string) {
	t.Helper()
	namespace := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), internet.Fd())
	if out, err := exec.Command("nsenter", append([]string{namespace}, command...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// Targets of TestAPIRestart.
const (
	lasting, short, permanent = "198.18.8.1", "198.18.8.2", "2001:db8:8::5"
	friend, guest             = "198.18.8.3", "198.18.8.4"
)

// TestAPIRestart stops and kills the daemon: manual bans and trust stay for their terms.
func TestAPIRestart(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			own6(t, permanent, "2001:db8:8::6")
			socket := adminSocket(t)
			d := prepare(t, ``, fmt.Sprintf(onSocket, socket)+atOnce).start()
			a, e := askingAt(t, socket), listen(t)
			reachable6(t, e, "2001:db8:8::6")
			ends := map[string]time.Time{}
			for _, c := range []struct{ list, ip, ttl string }{
				{"blacklist", lasting, "10m"}, {"blacklist", permanent, "permanent"}, {"whitelist", friend, "10m"},
				{"blacklist", short, "3s"}, {"whitelist", guest, "3s"},
			} {
				var done change
				a.does("POST", "/security/"+c.list, fmt.Sprintf(`{"ip": %q, "ttl": %q}`, c.ip, c.ttl), &done)
				ends[c.ip] = done.ExpiresAt
			}
			d.stop(sig)
			d.start()
			stillHolds(d, a, e, ends)
			d.stop(syscall.SIGTERM) // it may still apply the last ban
		})
	}
}

// stillHolds checks the bans and the trust of TestAPIRestart against the given ends.
func stillHolds(d *daemon, a *api, e *ear, ends map[string]time.Time) {
	d.Helper()
	for _, c := range []struct{ list, ip string }{{"blacklist", lasting}, {"blacklist", permanent}, {"whitelist", friend}} {
		var entry struct{ ExpiresAt time.Time }
		a.does("GET", "/security/"+c.list+"/"+c.ip, "", &entry)
		if !entry.ExpiresAt.Equal(ends[c.ip]) {
			d.Errorf("%s ends at %s, want %s", c.ip, entry.ExpiresAt, ends[c.ip])
		}
	}
	for _, ip := range []string{lasting, permanent, short} {
		stop := chatter(d, ip, time.Millisecond)
		defer stop()
	}
	d.write(failure(friend))
	eventually(d, 5*time.Second, "a trusted address is not banned", func() bool {
		return strings.Contains(d.said.String(), "msg=refuse target="+friend)
	})
	if status, answer, err := a.ask("POST", "/security/blacklist", `{"ip": "`+friend+`"}`); err != nil || status != http.StatusConflict {
		d.Errorf("trusted: %d %v %s", status, err, answer)
	}

	eventually(d, 10*time.Second, "a short ban expires", func() bool { n, _ := e.heard(short); return n > 5 })
	if early := time.Until(ends[short]); early > 0 {
		d.Errorf("it expired %s too early", early)
	}
	eventually(d, 5*time.Second, "the end of the short trust", func() bool { return time.Now().After(ends[guest]) }) // after that of the ban
	d.write(failure(guest))
	eventually(d, 5*time.Second, "short trust has ended", func() bool { return strings.Contains(d.said.String(), "msg=ban target="+guest) })
	for _, ip := range []string{lasting, permanent} {
		if n, _ := e.heard(ip); n > 0 {
			d.Errorf("%d packets of %s got through", n, ip)
		}
	}
}
