package fleet

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// says waits until a problem of the guard has a text in it.
func (g *guard) says(text string) {
	g.t.Helper()
	g.await("it says "+text, func() bool {
		for _, p := range g.Status().Problems {
			if strings.Contains(p.Text, text) {
				return true
			}
		}
		return false
	})
}

// TestServerInWords: what is wrong with a server is said in words, and the password in none of them.
func TestServerInWords(t *testing.T) {
	user := func(u *server.User) func(*server.Options) {
		return func(o *server.Options) {
			u.Username, u.Password = "guard", "hunter2hunter2"
			o.Users = []*server.User{u}
		}
	}
	deny := func(subject string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{subject}}}
	}
	for _, c := range []struct {
		name   string
		change func(*server.Options)
		want   string
	}{
		{"password", func(o *server.Options) { o.Username, o.Password = "guard", "another" }, "does not accept the credentials"},
		{"no JetStream", func(o *server.Options) { o.JetStream = false }, "JetStream is not enabled"},
		{"no right to streams", user(&server.User{Permissions: deny("$JS.API.>")}), "no right"},
		{"no right to keys", user(&server.User{Permissions: deny("$KV.test.ban.>")}), "no right"},
		{"full", func(o *server.Options) { o.JetStreamMaxStore = 4096 }, "no room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleettest.Serve(t, c.change)
			g := newGuard(t, s, "a")
			g.cfg.User, g.cfg.Password = "guard", "hunter2hunter2"
			g.start()
			for i := range 40 {
				g.ban(fmt.Sprintf("203.0.113.%d", i), time.Hour)
			}
			g.says(c.want)
			if text := fmt.Sprint(g.Status(), g.log); strings.Contains(text, "hunter2") {
				t.Errorf("it tells the password: %s", text)
			}
		})
	}
}

// TestOldServer: a server whose bucket cannot forget single keys is refused.
func TestOldServer(t *testing.T) {
	for version, want := range map[string]bool{"2.9.10": true, "2.10.29": true, "2.11.0": false, "2.11.0-dev": false, "2.15.3": false, "3.0.0": false, "1.4.1": true, "": false} {
		if older(version, leastVersion) != want {
			t.Errorf("%q is older: %t", version, !want)
		}
	}
	s := fleettest.Serve(t, nil)
	_, err := keys(t, s).CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_test", Subjects: []string{"$KV.test.>"}})
	if err != nil {
		t.Fatal(err)
	}
	newGuard(t, s, "a").start().says("without TTLs")
}

// keys returns a client of the server.
func keys(t *testing.T, s *fleettest.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestLostBucket: a bucket that was removed is filled again, also with what nodes decided that are
// gone, and with unbans.
func TestLostBucket(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	a.ban("203.0.113.1", time.Hour)
	a.ban("203.0.113.2", time.Hour)
	b.awaitBan("203.0.113.2")
	a.unban("203.0.113.2", time.Minute)
	b.awaitUnban("203.0.113.2")
	b.await("all is told", func() bool { return b.Status().Unsent == 0 && b.Status().Records == 2 })
	a.stop()
	if err := keys(t, s).DeleteStream(t.Context(), "KV_test"); err != nil {
		t.Fatal(err)
	}
	b.await("it fills the bucket", func() bool {
		return strings.Contains(b.log.String(), "bucket of the fleet was lost") && b.Status().Joined && b.Status().Unsent == 0
	})
	c := newGuard(t, s, "c").join()
	c.awaitBan("203.0.113.1")
	if got, _ := c.get("203.0.113.1"); got.Author != "peer a" || c.has("203.0.113.2") {
		t.Errorf("%+v", got)
	}
	a.join()
	if !a.has("203.0.113.1") || !b.has("203.0.113.1") || a.has("203.0.113.2") {
		t.Error("the nodes have changed their mind")
	}
}

// TestOvertakenBucket: a bucket that was set back by a crash, and has more records than before since, is filled
// again with what it has lost.
func TestOvertakenBucket(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a := newGuard(t, s, "a").join()
	a.ban("203.0.113.1", time.Hour)
	told := func() bool { return a.Status().Unsent == 0 && a.Status().Records == a.ledger.Size() }
	a.await("all is told", told)
	s.Stop()
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(s.Options.StoreDir)); err != nil {
		t.Fatal(err)
	}
	s.Start()
	a.ban("203.0.113.2", time.Hour)
	a.await("all is told again", told)
	a.stop()
	s.Stop()
	s.Options.StoreDir = before
	s.Start()
	c := newGuard(t, s, "c").join()
	for i := range 20 {
		c.ban(fmt.Sprintf("198.51.100.%d", i), time.Hour)
	}
	c.await("all is told", func() bool { return c.Status().Unsent == 0 })
	if c.has("203.0.113.2") {
		t.Fatal("the bucket was not set back")
	}
	a.join()
	c.awaitBan("203.0.113.2")
	a.awaitBan("198.51.100.19")
	if !c.has("203.0.113.1") || !a.has("203.0.113.2") {
		t.Error("a ban is gone")
	}
}

// TestHostilePeer: what a peer writes is bounded, and refused in words; a decision of this node
// replaces it.
func TestHostilePeer(t *testing.T) {
	s := fleettest.Serve(t, nil)
	trusted := ban.Trusted{Target: ban.Network(netip.MustParsePrefix("192.0.2.0/24")), Name: "carriers"}
	g := newGuard(t, s, "a", trusted)
	g.cfg.MaxFromPeers = 2
	g.join()
	js := keys(t, s)
	now := time.Now()
	put := func(key string, r *Record, value []byte) {
		t.Helper()
		if r != nil {
			r.Node, r.Author = "evil", "rule"
			if r.Kind == "" {
				r.Kind, r.Until = KindBan, now.Add(time.Hour)
			}
			if r.Start.IsZero() {
				r.Start = now
			}
			if r.Stamp == 0 {
				r.Stamp = stampAt(now)
			}
			value = r.encode()
		}
		if _, err := js.Publish(t.Context(), "$KV.test."+key, value); err != nil {
			t.Fatal(err)
		}
	}
	target := func(text string) ban.Target {
		one, err := ban.ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	for _, wide := range []string{"0.0.0.0/0", "10.0.0.0/15", "::/0", "2001::/31"} {
		put(keyOf(KindBan, target(wide)), &Record{Target: target(wide)}, nil)
		put(keyOf(KindTrust, target(wide)), &Record{Kind: KindTrust, Target: target(wide), Until: now.Add(time.Hour)}, nil)
	}
	put("ban.203.0.113.1", &Record{Target: target("203.0.113.2")}, nil)
	put("ban.203.0.113.2", nil, []byte("{"))
	put("ban.203.0.113.3", nil, []byte(`{"kind":"ban","target":"203.0.113.3","node":"a b","stamp":1}`))
	put("ban.203.0.113.4", nil, make([]byte, maxRecord+1))
	put("ban.203.0.113.5", &Record{Target: target("203.0.113.5"), Stamp: ^Stamp(0)}, nil)
	put("ban.203.0.113.6", &Record{Target: target("203.0.113.6"), Start: now.AddDate(2000, 0, 0)}, nil)
	put("ban.192.0.2.7", &Record{Target: target("192.0.2.7")}, nil)
	for i := range 5 {
		one := fmt.Sprintf("198.51.100.%d", i)
		put("ban."+one, &Record{Target: target(one), Reason: strings.Repeat("x", 2000), Rule: strings.Repeat("y", 2000)}, nil)
	}
	g.await("it has heard all", func() bool {
		s := g.Status()
		return len(s.Peers) > 0 && s.Joined && g.ledger.Size() >= 1 && strings.Contains(g.log.String(), "max_from_peers")
	})
	if g.has("192.0.2.7") {
		t.Error("a trusted address is banned")
	}
	if n := g.ledger.Size(); n > 2 {
		t.Errorf("%d bans of peers, want 2 at most", n)
	}
	for _, b := range g.ledger.Bans() {
		if len(b.Reason) > maxReason || len(b.Rule) > maxWord {
			t.Errorf("not cut: %d, %d", len(b.Reason), len(b.Rule))
		}
	}
	for _, why := range []string{"wider than a /16", "wider than a /32", "not that of its key", "cannot be read", "names no node", "more than 8192", "is ahead by", "out of range"} {
		if !strings.Contains(g.log.String(), why) {
			t.Errorf("it does not say %q:\n%s", why, g.log)
		}
	}
	g.ban("203.0.113.1", time.Hour)
	g.await("its own decision stands", func() bool { return g.Status().Unsent == 0 })
	g.says("not in force here")
}
