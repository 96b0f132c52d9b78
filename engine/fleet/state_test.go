package fleet

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
)

// TestPeersInStatus: a peer's decisions are counted, and their age takes the difference of the clocks
// into account.
func TestPeersInStatus(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a := newGuard(t, s, "a")
	a.skew = -30 * time.Second
	a.join()
	b := newGuard(t, s, "b", ban.Trusted{Target: ban.Network(netip.MustParsePrefix("192.0.2.0/24"))}).join()
	b.await("it hears a", func() bool { return len(b.Status().Peers) == 1 && !b.Status().Peers[0].Heard.IsZero() })
	a.ban("203.0.113.7", time.Hour)
	a.ban("192.0.2.1", time.Hour)
	b.await("it has taken one and refused one", func() bool { p := b.Status().Peers[0]; return p.Taken == 1 && p.Refused == 1 })
	p := b.Status().Peers[0]
	if p.Name != "a" || p.Clock < -31 || p.Clock > -20 || p.Lag < 0 || p.Lag > 10 || b.Status().Refused != 1 {
		t.Errorf("%+v", p)
	}
}

// TestSavesInAFlood: in a flood of records a node saves when it has not for ten seconds, and then not for ten more.
func TestSavesInAFlood(t *testing.T) {
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "a")
	n := New(&g.cfg, Options{Ledger: g.ledger, Durable: func(context.Context) error { return nil }, Now: time.Now, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	n.openStore()
	defer n.closeStore()
	flood := func() (saves bool) {
		for i := range mostHeard + 1 {
			n.table.touch(id{target: ban.Address(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))})
		}
		n.saveUnlessFlooded()
		if saves = n.table.saving != nil; saves {
			n.saved(<-n.wrote)
		}
		return saves
	}
	if flood() {
		t.Error("saved at the beginning")
	}
	n.table.clean = n.table.clean.Add(-2 * saveLatest)
	if !flood() {
		t.Error("not saved after ten seconds")
	}
	if flood() {
		t.Error("saved again at once")
	}
}

// TestHearEnds: messages of which none is taken, and that do not end, leave time for the rest.
func TestHearEnds(t *testing.T) {
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "a")
	n := New(&g.cfg, Options{Ledger: g.ledger, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	for range cap(n.heard) {
		n.heard <- heard{}
	}
	if n.hear(heard{}); len(n.heard) == 0 {
		t.Error("all were heard at once")
	}
}
