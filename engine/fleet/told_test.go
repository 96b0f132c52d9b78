package fleet

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// alone returns a guard whose loop does not run, with a session that hears what the test says.
func alone(t *testing.T, dir string, ledger *ban.Ledger) *guard {
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "b")
	g.ledger = ledger
	g.Node = New(&g.cfg, Options{
		Ledger: g.ledger, Take: g.take, Durable: func(context.Context) error { return nil }, Enforced: func(*ban.Ban) bool { return true },
		Now: g.now, Dir: dir, Log: slog.New(slog.DiscardHandler),
	})
	g.life, g.session = t.Context(), &session{current: true, over: func() {}}
	g.openStore()
	t.Cleanup(g.closeStore)
	return g
}

// hears has the guard hear a record of the session.
func (g *guard) hears(r *Record) {
	n := g.session.number + 1
	g.hear(heard{g.session, message{key: r.id().key(), value: r.encode(), sequence: n, number: n}})
}

// TestEndedHere: a ban of the fleet that a person ends at this node alone is not entered here again, be it
// longer now, after a restart, or when the bucket is read again; until a person bans, or the fleet unbans it.
func TestEndedHere(t *testing.T) {
	dir := t.TempDir()
	g := alone(t, dir, ban.NewLedger(ban.NewTrust(nil)))
	const address = "203.0.113.7"
	at := g.now()
	by := func(author string, kind Kind, after time.Duration) *Record {
		return &Record{
			Kind: kind, Target: ban.Address(netip.MustParseAddr(address)), Node: "a", Stamp: stampAt(at.Add(after)), Start: at, Until: at.Add(time.Hour + after),
			Author: author, Offence: 1,
		}
	}
	want := func(what string, banned bool) {
		t.Helper()
		if g.has(address) != banned {
			t.Fatalf("%s: banned: %t", what, !banned)
		}
	}
	endHere := func() {
		g.EndedHere(ban.Address(netip.MustParseAddr(address)), false)
		g.ledger.Unban(ban.Address(netip.MustParseAddr(address)), "by api alice", at, 0)
		g.ledger.Publish()
		g.readLedger()
		want("ended here", false)
		if g.table.unsent != 0 {
			t.Fatal("the fleet is told")
		}
	}
	g.hears(by(ban.ByRule, KindBan, 0))
	want("at first", true)
	endHere()
	g.sweep()
	want("asked again", false)
	g.hears(by(ban.ByRule, KindBan, time.Second))
	want("longer", false)
	g.closeStore()
	g = alone(t, dir, g.ledger)
	g.reconcile()
	g.sweep()
	want("after a restart", false)
	g.relay()
	g.hears(by(ban.ByRule, KindBan, time.Second))
	want("in a bucket that was filled again", false)
	g.hears(by("api carol", KindBan, time.Minute))
	want("banned by a person at a peer", true)
	endHere()
	g.hears(by("api carol", KindUnban, 2*time.Minute))
	g.hears(by(ban.ByRule, KindBan, 3*time.Minute))
	want("banned after an unban for all", true)
	endHere()
	g.order(ban.Order{Author: "api alice" + ban.OnlyHere, ByHand: true}, address, time.Minute)
	g.readLedger()
	if until := g.ledger.Bans()[0].Until; g.table.unsent != 0 || until.After(at.Add(30*time.Minute)) {
		t.Fatal("a ban that holds here alone is told, or enters that of the fleet")
	}
	g.order(ban.Order{Author: "api alice", ByHand: true}, address, 2*time.Minute)
	g.readLedger()
	g.sweep()
	if b, _ := g.get(address); b.Until.Before(at.Add(time.Hour)) {
		t.Fatalf("banned here again until %s", b.Until)
	}
}

// TestSavedAtOnce: what a person has unbanned without a server does not come back after a crash, once it is
// saved.
func TestSavedAtOnce(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	a.ban("203.0.113.1", time.Hour)
	a.ban("203.0.113.2", time.Hour)
	b.awaitBan("203.0.113.1")
	b.awaitBan("203.0.113.2")
	<-b.Saved()
	s.Stop()
	b.unban("203.0.113.1", 0)
	<-b.Saved()
	crashed := newGuard(t, s, "b")
	kept, err := os.ReadFile(filepath.Join(b.dir, "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed.dir, "fleet.db"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	b.stop()
	s.Start()
	crashed.join()
	if crashed.has("203.0.113.1") || !crashed.has("203.0.113.2") {
		t.Error("an unban came back, or a ban that was taken did not")
	}
	a.awaitUnban("203.0.113.1")
}

// TestDamagedStore: a damaged file is moved aside, and named in the log.
func TestDamagedStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("noise "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "b")
	g.Node = New(&g.cfg, Options{Ledger: g.ledger, Dir: dir, Now: g.now, Log: slog.New(slog.NewTextHandler(g.log, nil))})
	g.openStore()
	defer g.closeStore()
	if g.table.store == nil {
		t.Fatal("no store")
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 || !strings.Contains(g.log.String(), aside[0]) {
		t.Errorf("moved to %q, the log says: %s", aside, g.log)
	}
}

// TestTrustComesAndGoes: a ban of a peer that trust has ended here is entered again after the trust, with all
// that the ledger had of it.
func TestTrustComesAndGoes(t *testing.T) {
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "b")
	g.Node = New(&g.cfg, Options{Ledger: g.ledger, Take: g.take, Enforced: func(*ban.Ban) bool { return true }, Now: g.now, Log: slog.New(slog.DiscardHandler)})
	g.life, g.session = t.Context(), &session{current: true}
	target := ban.Address(netip.MustParseAddr("203.0.113.7"))
	r := &Record{
		Kind: KindBan, Target: target, Node: "a", Stamp: stampAt(g.now()), Start: g.now(), Until: g.now().Add(time.Hour),
		Author: ban.ByRule, Rule: "guessing", Reason: "5 failures", Offence: 1,
	}
	g.hear(heard{g.session, message{key: r.id().key(), value: r.encode(), sequence: 1, number: 1}})
	e := g.table.entries[r.id()]
	if e.record != nil || !g.has("203.0.113.7") {
		t.Fatalf("kept beside the ledger: %+v", e.record)
	}
	g.ledger.Grant(ban.Trusted{Target: target, Author: "api alice", Since: g.now()}, g.now())
	g.ledger.Publish()
	g.readLedger()
	if e.refused == "" || g.has("203.0.113.7") {
		t.Fatalf("refused %q", e.refused)
	}
	g.ledger.Revoke(target)
	g.sweep()
	if b, _ := g.get("203.0.113.7"); b.Reason != "5 failures" || b.Rule != "guessing" || e.refused != "" {
		t.Errorf("refused %q, banned: %+v", e.refused, b)
	}
}

// sends has the guard send what it has to tell, and lose the session before an answer. It returns what was sent.
func (g *guard) sends() *Record {
	g.t.Helper()
	g.readLedger()
	_, f, ok := g.table.next(g.now())
	if !ok {
		g.t.Fatal("nothing is to be told")
	}
	g.closeSession()
	return f.record
}

// TestSentWithoutAnswer: what this node decides about a ban that it has sent, without an answer, stands when the
// bucket turns out to have that ban; also after a restart.
func TestSentWithoutAnswer(t *testing.T) {
	const address = "203.0.113.7"
	target := ban.Address(netip.MustParseAddr(address))
	for name, restarts := range map[string]bool{"in one run": false, "after a restart": true} {
		g := alone(t, t.TempDir(), ban.NewLedger(ban.NewTrust(nil)))
		connect := func() {
			if restarts {
				g.closeStore()
				g = alone(t, g.o.Dir, g.ledger)
				g.reconcile()
			}
			g.session = &session{current: true, over: func() {}}
		}
		g.ban(address, 5*time.Hour)
		sent := g.sends()
		connect()
		g.ledger.Unban(target, "alice@pbx.example is registered", g.now(), 0)
		g.ledger.Publish()
		g.readLedger()
		g.hears(sent)
		if mine := g.table.entries[sent.id()].mine; g.has(address) || mine == nil || mine.Kind != KindUnban {
			t.Errorf("%s: banned again: %t, to be told: %+v", name, g.has(address), mine)
		}
		g.closeStore()

		g = alone(t, t.TempDir(), ban.NewLedger(ban.NewTrust(nil)))
		g.ban(address, 5*time.Hour)
		sent = g.sends()
		g.unban(address, 0)
		want := g.ban(address, time.Hour).Until
		g.readLedger()
		connect()
		g.hears(sent)
		mine := g.table.entries[sent.id()].mine
		if b, _ := g.get(address); !b.Until.Equal(want) || mine == nil || !mine.Until.Equal(want) {
			t.Errorf("%s: banned until %s, want %s; to be told: %+v", name, b.Until, want, mine)
		}
	}
}

// TestBannedAgainBeforeTheAnswer: a ban that is the same as before is told again if the unban between may be in the bucket.
func TestBannedAgainBeforeTheAnswer(t *testing.T) {
	const address = "203.0.113.7"
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	permanently := ban.Order{Author: "api alice", ByHand: true}
	g.order(permanently, address, time.Duration(ban.Permanent))
	first := g.sends()
	g.session = &session{current: true, over: func() {}}
	g.hears(first)
	g.unban(address, 0)
	unban := g.sends()
	g.order(permanently, address, time.Duration(ban.Permanent))
	g.session = &session{current: true, over: func() {}, number: 1}
	g.hears(unban)
	if mine := g.table.entries[unban.id()].mine; !g.has(address) || mine == nil || mine.Kind != KindBan {
		t.Errorf("banned: %t, to be told: %+v", g.has(address), mine)
	}
}

// TestBansNoLongerShared: a node that has shared bans and now shares counts alone tells none, asks about none, and hears
// the bucket from its begin once it shares them again.
func TestBansNoLongerShared(t *testing.T) {
	trusted := ban.Trusted{Target: ban.Address(netip.MustParseAddr("203.0.113.8"))}
	g := alone(t, t.TempDir(), ban.NewLedger(ban.NewTrust([]ban.Trusted{trusted})))
	at := g.now()
	g.hears(&Record{Kind: KindBan, Target: trusted.Target, Node: "a", Stamp: stampAt(at), Start: at, Until: at.Add(time.Hour), Author: ban.ByRule, Offence: 1})
	g.ban("203.0.113.7", time.Hour)
	g.readLedger()
	instance := g.lease.instance
	for _, share := range [][]string{{config.ShareCounts}, {config.ShareBans}} {
		g.closeStore()
		g.cfg.Share = share
		g.Node = New(&g.cfg, g.o)
		g.life = t.Context()
		g.openStore()
		g.sweep()
		if n := len(g.table.entries); n != 0 || g.table.unsent != 0 || g.table.sequence != 0 || g.lease.instance != instance {
			t.Errorf("%s: %d entries, %d to be told, heard up to %d, instance %s, was %s", share, n, g.table.unsent, g.table.sequence, g.lease.instance, instance)
		}
	}
	g.closeStore()
}

// TestOwnRecordOfAnEarlierLife: a node that has lost its state has sent nothing, so what it decided before is as good as
// what it decides now: the longer ban stands.
func TestOwnRecordOfAnEarlierLife(t *testing.T) {
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	at := g.now().Truncate(time.Second)
	before := &Record{
		Kind: KindBan, Target: ban.Address(netip.MustParseAddr("203.0.113.7")), Node: "b", Stamp: stampAt(at), Start: at, Until: at.Add(24 * time.Hour), Author: "api alice",
	}
	g.ban("203.0.113.7", time.Hour)
	g.readLedger()
	g.hears(before)
	if b, _ := g.get("203.0.113.7"); g.table.unsent != 0 || !b.Until.Equal(before.Until) {
		t.Errorf("%d to be told, banned until %s, want %s", g.table.unsent, b.Until, before.Until)
	}
}

// TestExcessIsSettled: a peer's longer ban of what this node has banned replaces it beyond max_from_peers, too:
// otherwise the shorter one was told again and again.
func TestExcessIsSettled(t *testing.T) {
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	g.cfg.MaxFromPeers = 0
	at := g.now().Truncate(time.Second)
	r := &Record{
		Kind: KindBan, Target: ban.Address(netip.MustParseAddr("203.0.113.7")), Node: "a", Stamp: stampAt(at), Start: at, Until: at.Add(2 * time.Hour),
		Author: ban.ByRule, Offence: 1,
	}
	g.hears(r)
	if g.has("203.0.113.7") {
		t.Fatal("beyond max_from_peers")
	}
	g.ban("203.0.113.7", time.Hour)
	g.readLedger()
	g.hears(r)
	if b, _ := g.get("203.0.113.7"); g.table.unsent != 0 || !b.Until.Equal(r.Until) {
		t.Errorf("%d to be told, banned until %s, want %s", g.table.unsent, b.Until, r.Until)
	}
}

// TestBansInMyName: max_from_peers and the rate bound what a peer tells in the name of this node, too.
func TestBansInMyName(t *testing.T) {
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	g.cfg.MaxFromPeers = 2
	at := g.now().Truncate(time.Second)
	hears := func(address string) {
		g.hears(&Record{
			Kind: KindBan, Target: ban.Address(netip.MustParseAddr(address)), Node: g.cfg.Node, Stamp: stampAt(at), Start: at, Until: at.Add(time.Hour),
			Author: ban.ByRule, Offence: 1,
		})
	}
	hears("203.0.113.1")
	g.peers.of(g.cfg.Node).changes = rate.NewLimiter(0, 0)
	hears("203.0.113.2")
	hears("203.0.113.3")
	if n := g.ledger.Size(); n != 1 || len(g.table.entries) != 2 || g.table.bans != 2 {
		t.Errorf("%d bans, %d entries, %d foreign", n, len(g.table.entries), g.table.bans)
	}
}

// TestUnbansAndTrustAreBounded: a peer that makes up targets to unban or to trust takes no memory without an end, and holds
// up no bans. An unban of a ban is entered all the same.
func TestUnbansAndTrustAreBounded(t *testing.T) {
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	at := g.now().Truncate(time.Second)
	hears := func(kind Kind, address string) {
		at = at.Add(time.Second)
		g.hears(&Record{
			Kind: kind, Target: ban.Address(netip.MustParseAddr(address)), Node: "a", Stamp: stampAt(at), Start: at, Until: at.Add(time.Hour), Author: "api alice", Offence: 1,
		})
	}
	hears(KindBan, "203.0.113.1")
	hears(KindUnban, "203.0.113.2")
	g.table.foreign += mostBeside - 1
	hears(KindUnban, "203.0.113.3")
	hears(KindTrust, "203.0.113.4")
	hears(KindBan, "203.0.113.5")
	hears(KindUnban, "203.0.113.1")
	if g.has("203.0.113.1") || !g.has("203.0.113.5") || len(g.table.entries) != 2 || g.table.bans != 1 || g.peers.of("a").refused != 2 {
		t.Errorf("%d entries, %d bans, %+v\n%s", len(g.table.entries), g.table.bans, g.peers.of("a"), g.log)
	}
	hears(KindBan, "203.0.113.2")
	hears(KindTrust, "203.0.113.4")
	if !g.has("203.0.113.2") || len(g.table.entries) != 3 || g.peers.of("a").refused != 2 {
		t.Errorf("%d entries, %+v\n%s", len(g.table.entries), g.peers.of("a"), g.log)
	}
}

// TestTroubleInWords: what keeps the name from being renewed is told, and what was wrong with the bucket is not known
// without a server.
func TestTroubleInWords(t *testing.T) {
	g := alone(t, "", ban.NewLedger(ban.NewTrust(nil)))
	says := func(want ...string) {
		t.Helper()
		var got []string
		for _, p := range g.Status().Problems {
			got = append(got, p.Text)
		}
		if len(got) != len(want) || len(got) > 0 && !strings.Contains(got[0], want[0]) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	renewal := ack{session: g.session, key: g.lease.key(g.Node), err: nats.ErrTimeout}
	g.acked(renewal)
	says()
	g.acked(renewal)
	says("disk is full or hangs")
	renewal.err = nil
	g.acked(renewal)
	says()
	renewal.err = nats.ErrTimeout
	g.acked(renewal)
	g.acked(renewal)
	g.look()
	says("disk is full or hangs") // the first attempt to connect has not ended
	g.link.note(nats.ErrNoServers)
	g.look()
	says("no server is connected")
}
