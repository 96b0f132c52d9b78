package fleet

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
)

// frozen is a server that lets clients connect, and then reads nothing. It returns its address.
func frozen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
			fmt.Fprint(c, `INFO {"server_id":"frozen","version":"2.11.0","max_payload":1048576,"headers":true,"proto":1}`+"\r\n")
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "PING") {
					fmt.Fprint(c, "PONG\r\n")
					break
				}
			}
		}
	}()
	return "nats://" + l.Addr().String()
}

// TestFrozenServer: the core, which publishes, does not wait for a minute for a server that reads nothing.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	cfg := config.Fleet{Servers: []string{frozen(t)}, Node: "a", Bucket: "test", Share: []string{config.ShareCounts}}
	n := New(&cfg, Options{Ledger: ban.NewLedger(ban.NewTrust(nil)), Log: slog.New(slog.DiscardHandler)})
	n.life = t.Context()
	n.connect()
	<-n.link.events
	n.shared.joined.Store(true)
	var most time.Duration
	for range messageBurst {
		began := time.Now()
		n.Publish(config.ShareCounts, make([]byte, MaxMessage))
		most = max(most, time.Since(began))
	}
	if most < takeWithin/4 || most > 10*takeWithin {
		t.Errorf("a message took %s", most)
	}
}
