//go:build kernel

package kernel

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestEndpoints bans one of two ports of an address: its packets are dropped and counted, those of
// the other port get through, also after the daemon was killed, and after its state was lost. The
// ban ends with an unban of the address.
func TestEndpoints(t *testing.T) {
	for _, backend := range []string{"rules", "ipset"} {
		t.Run(backend, func(t *testing.T) {
			const ip = "198.18.8.1"
			socket := adminSocket(t)
			d := prepare(t, `backend = "`+backend+`"`, fmt.Sprintf(onSocket, socket)).start()
			a, e := askingAt(t, socket), listen(t)
			bad, good := dial(t, ip), dial(t, ip)
			target := bad.LocalAddr().String() + "/udp"
			var done change
			a.does("POST", "/security/blacklist", fmt.Sprintf(`{"ip": %q, "ttl": "10m"}`, target), &done)
			if done.Target != target || !done.Applied {
				t.Fatalf("%+v", done)
			}
			dropped := 0
			for _, when := range []string{"banned", "killed", "without its state"} {
				switch when {
				case "killed":
					d.stop(syscall.SIGKILL)
					d.start()
				case "without its state":
					d.stop(syscall.SIGTERM)
					if err := os.RemoveAll(filepath.Join(d.dir, "state")); err != nil {
						t.Fatal(err)
					}
					d.start()
				}
				dropped += 20
				onlyDropped(a, e, ip, bad, dropped)
				before, _ := e.heard(ip)
				_, _ = good.Write([]byte("x"))
				eventually(t, 5*time.Second, when+": packets of another port get through", func() bool { n, _ := e.heard(ip); return n > before })
			}
			a.does("DELETE", "/security/blacklist/"+ip, "", &done)
			if len(done.Unbanned) != 1 || done.Unbanned[0] != target || !done.Applied {
				t.Errorf("%+v", done)
			}
			before, _ := e.heard(ip)
			_, _ = bad.Write([]byte("x"))
			eventually(t, 5*time.Second, "packets of the endpoint get through", func() bool { n, _ := e.heard(ip); return n > before })
		})
	}
}

// onlyDropped sends 20 packets from a banned endpoint, and waits until the ban has dropped as many as it
// should have by now.
func onlyDropped(a *api, e *ear, ip string, bad net.Conn, dropped int) {
	a.Helper()
	before, _ := e.heard(ip)
	for range 20 {
		_, _ = bad.Write([]byte("x"))
	}
	var entry struct {
		Packets int
		Applied bool
	}
	eventually(a, 10*time.Second, fmt.Sprintf("%d packets are dropped", dropped), func() bool {
		a.does("GET", "/security/blacklist/"+url.PathEscape(bad.LocalAddr().String()+"/udp"), "", &entry)
		return entry.Packets >= dropped
	})
	if n, _ := e.heard(ip); n != before || !entry.Applied {
		a.Errorf("%d packets of a banned endpoint got through; %+v", n-before, entry)
	}
}
