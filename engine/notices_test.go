package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/fleet/fleettest"
	"freeswitch-security/engine/status"
)

// A sbc is a running guard in a fleet on a real server.
type sbc struct {
	*Engine
	t      *testing.T
	talker *talker
	host   *host
	told   int // events

	mu      sync.Mutex
	changes []ban.Change
}

// overNodes is a rule of five failures in ten minutes, over all nodes.
func overNodes(t *testing.T, source config.Source) *config.Config {
	cfg := guessing(t, source)
	cfg.Rules = cfg.Rules[:1]
	cfg.Rules[0].Fleet, cfg.Rules[0].Brake = true, nil
	cfg.Rules[0].Threshold.Count, cfg.Rules[0].Threshold.Within = 5, 10*time.Minute
	cfg.Rules[0].Ban.Terms = []ban.Term{ban.Term(time.Hour)}
	return cfg
}

// startNode runs a node whose clock is off, and waits until it is in its fleet.
func startNode(t *testing.T, server *fleettest.Server, name string, off time.Duration, share ...string) *sbc {
	t.Helper()
	s := &sbc{t: t, talker: &talker{say: make(chan event.Event)}, host: hostOff(off)}
	cfg := overNodes(t, config.Source{Ref: "esl.pbx", Source: s.talker})
	cfg.Fleet = &config.Fleet{
		Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", server.Options.Port)}, Node: name, Bucket: "test",
		Share: share, MaxFromPeers: config.DefaultFromPeers,
	}
	s.Engine = New(cfg, Options{Clock: s.host.clock(), OnChange: func(c *ban.Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changes = append(s.changes, *c)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s.await("in its fleet", func() bool {
		node := s.live.fleet.node
		return node != nil && node.Status().Joined && (s.live.notices.joined || !slices.Contains(share, config.ShareRegistrations))
	})
	return s
}

// await waits for something that the core knows.
func (s *sbc) await(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		var ok bool
		if err := s.between(s.t.Context(), func() { ok = is() }); err != nil {
			s.t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s is not %s: %+v", s.cfg.Fleet.Node, what, s.live.notices.counts.in.Peers())
		}
		time.Sleep(time.Millisecond)
	}
}

// say has the switch of the node report an event now.
func (s *sbc) say(ev event.Event) {
	ev.Time, ev.Live = s.options.Clock.Now(), true
	s.talker.say <- ev
	s.told++
}

func failureOf(ip string) event.Event {
	return event.Event{Name: event.AuthFailure, Source: "esl.pbx", IP: netip.MustParseAddr(ip), User: "1000", Domain: "pbx.example"}
}

// banned returns the authors of the bans of each target here.
func (s *sbc) banned() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]string{}
	for _, c := range s.changes {
		if c.InForce() {
			all[c.Target.String()] = append(all[c.Target.String()], c.Author)
		}
	}
	return all
}

var shareAll = []string{config.ShareBans, config.ShareCounts, config.ShareRegistrations}

// TestFleetBansAtTheFifthFailure has a thousand attackers fail twice on each of three nodes, whose clocks
// differ, in any order: none is banned by four failures, all are by five, on all nodes, once.
func TestFleetBansAtTheFifthFailure(t *testing.T) {
	const attackers = 1000
	server := fleettest.Serve(t, nil)
	nodes := []*sbc{
		startNode(t, server, "sbc1", -2*time.Second, shareAll...),
		startNode(t, server, "sbc2", 0, shareAll...),
		startNode(t, server, "sbc3", 2*time.Second, shareAll...),
	}
	for _, n := range nodes { // a busy machine takes longer than the usual time
		n.await("patient", func() bool {
			n.rules.Patience = time.Minute
			return true
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	orders := make([][]int, attackers)
	for i := range orders {
		orders[i] = []int{0, 0, 1, 1, 2, 2}
		random.Shuffle(6, func(a, b int) { orders[i][a], orders[i][b] = orders[i][b], orders[i][a] })
	}
	for attempt := range 5 {
		for i, order := range orders {
			nodes[order[attempt]].say(failureOf(fmt.Sprintf("203.0.%d.%d", i/250, i%250)))
		}
		if attempt == 4 {
			break
		}
		total := 0
		for _, n := range nodes {
			total += n.told
		}
		for _, n := range nodes {
			n.await("told of all failures", func() bool {
				taken := 0
				for _, p := range n.live.notices.counts.in.Peers() {
					taken += int(p.Taken)
				}
				return taken == total-n.told && n.events == uint64(n.told)
			})
			if banned := n.banned(); len(banned) != 0 {
				t.Fatalf("after %d failures each, %s has banned %d", attempt+1, n.cfg.Fleet.Node, len(banned))
			}
		}
	}
	byRule := map[string]int{}
	for _, n := range nodes {
		n.await("banning all", func() bool { return len(n.banned()) == attackers })
		for target, authors := range n.banned() {
			if len(authors) != 1 {
				t.Errorf("%s: %s is banned by %q", n.cfg.Fleet.Node, target, authors)
			}
			if authors[0] == ban.ByRule {
				byRule[target]++
			}
		}
	}
	for target, times := range byRule {
		if times != 1 {
			t.Errorf("%d nodes fired for %s", times, target)
		}
	}
	firings := status.Firings{}
	for _, n := range nodes {
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts := s.Fleet.Notices[0]
		if fired := s.Fleet.Firings.Node + s.Fleet.Firings.Late; counts.Told != uint64(n.told)+fired || counts.Dropped+counts.Missed+counts.Refused != 0 {
			t.Errorf("%s: %+v, %d events, %+v", n.cfg.Fleet.Node, counts, n.told, s.Fleet.Firings)
		}
		firings.Node += s.Fleet.Firings.Node + s.Fleet.Firings.Late
	}
	if firings.Node != attackers {
		t.Errorf("%d firings of %d", firings.Node, attackers)
	}
	if len(byRule) != attackers {
		t.Errorf("rules banned %d of %d", len(byRule), attackers)
	}
}

// TestFleetWithoutBansOfOne has the fifth failure at a node that bans nothing, or shares no bans: another one bans.
func TestFleetWithoutBansOfOne(t *testing.T) {
	for name, share := range map[string][]string{"bans nothing": shareAll, "shares no bans": {config.ShareCounts}} {
		t.Run(name, func(t *testing.T) {
			server := fleettest.Serve(t, nil)
			first, second := startNode(t, server, "sbc1", 0, share...), startNode(t, server, "sbc2", 0, shareAll...)
			first.await("set", func() bool {
				cfg := *first.cfg
				cfg.Security.AutoBlock = len(share) == 1
				first.Reload(&cfg)
				return true
			})
			for range 2 {
				second.say(failureOf("203.0.113.7"))
			}
			for range 3 {
				first.say(failureOf("203.0.113.7"))
			}
			second.await("banning", func() bool { return slices.Equal(second.banned()["203.0.113.7"], []string{ban.ByRule}) })
		})
	}
}

// TestFleetProtects has a phone and a gateway of one node protect at the others, also at one that joins
// later, and at none that does not share what is registered.
func TestFleetProtects(t *testing.T) {
	server := fleettest.Serve(t, nil)
	first := startNode(t, server, "sbc1", 0, shareAll...)
	second := startNode(t, server, "sbc2", 0, shareAll...)
	distant := startNode(t, server, "sbc3", 0, config.ShareCounts)
	phone, gateway := "203.0.113.7", "198.51.100.9"
	first.say(event.Event{
		Name: event.Registered, Source: "esl.pbx", IP: netip.MustParseAddr(phone), Port: 5060, User: "1000", Domain: "pbx.example", CallID: "a",
		Fields: map[string]string{"authenticated": "true", "expires": "3600"},
	})
	first.say(event.Event{Name: event.Gateway, Source: "esl.pbx", IP: netip.MustParseAddr(gateway), Fields: map[string]string{"gateway": "carrier"}})
	knows := func(s *sbc) func() bool {
		return func() bool {
			return s.known.registrations.Holds(netip.MustParsePrefix(phone+"/32"), s.now) && len(s.known.gateways.Trusted()) == 1
		}
	}
	second.await("told of phone and gateway", knows(second))
	last := startNode(t, server, "sbc4", 0, shareAll...)
	last.await("told what was there before", knows(last))
	for _, n := range []*sbc{second, last} {
		for range 5 {
			n.say(failureOf(phone))
			n.say(failureOf(gateway))
		}
		n.await("deciding", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.events == uint64(n.told) && len(n.changes) >= 2
		})
		n.mu.Lock()
		var got []string
		for _, c := range n.changes {
			got = append(got, string(c.Kind)+" "+c.Target.String())
			if c.Target.String() == gateway && !strings.Contains(c.Why, "gateway carrier of sbc1/esl.pbx") {
				t.Errorf("%s: %s", c.Target, c.Why)
			}
		}
		n.mu.Unlock()
		if !slices.Contains(got, "spare "+phone) || !slices.Contains(got, "refuse "+gateway) || len(n.banned()) != 0 {
			t.Errorf("%s: %q", n.cfg.Fleet.Node, got)
		}
	}
	distant.say(failureOf(gateway))
	distant.await("counting", func() bool {
		if distant.known.registrations.Holds(netip.MustParsePrefix(phone+"/32"), distant.now) || len(distant.known.gateways.Trusted()) != 0 {
			t.Error("a node takes what it does not share")
		}
		return distant.events == 1
	})
}
