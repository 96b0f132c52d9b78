package rule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// overFleet is five failures in ten minutes, over all nodes.
func overFleet(t testing.TB) *Spec {
	spec := guessing(t)
	spec.Threshold.Count, spec.Threshold.Within, spec.Fleet = 5, 10*time.Minute, true
	return spec
}

// A simulated fleet passes what its nodes tell to the others, after a while, in the order in which each
// told it.
type simulated struct {
	t     *testing.T
	now   time.Time
	nodes []*simulatedNode
	due   []simulatedCall
	delay func(from, to int) time.Duration // negative: it is lost
	fired []simulatedFiring
}

type simulatedNode struct {
	name string
	set  *Set
	skew time.Duration // of its clock
}

type simulatedCall struct {
	at time.Time
	do func()
}

type simulatedFiring struct {
	node int
	at   time.Time
	f    *Firing
}

func simulate(t *testing.T, nodes int, spec func() *Spec) *simulated {
	s := &simulated{t: t, now: start, delay: func(int, int) time.Duration { return time.Millisecond }}
	for i := range nodes {
		n := &simulatedNode{name: fmt.Sprint("sbc", i), set: NewSet([]*Spec{spec()})}
		n.set.Patience = time.Second + time.Duration(i)*50*time.Millisecond
		n.set.Tell = func(id ID, _ *Spec, ev *event.Event, what Told) {
			for j, other := range s.nodes {
				delay := s.delay(i, j)
				if j == i || delay < 0 {
					continue
				}
				told := *ev
				told.Node, told.Text = n.name, ""
				s.after(delay, func() { other.set.Hear(id, &told, what, s.fire(j)) })
			}
		}
		s.nodes = append(s.nodes, n)
	}
	return s
}

func (s *simulated) after(d time.Duration, do func()) {
	s.due = append(s.due, simulatedCall{s.now.Add(d), do})
}

func (s *simulated) fire(node int) func(*Firing) {
	return func(f *Firing) { s.fired = append(s.fired, simulatedFiring{node, s.now, kept(f)}) }
}

// report has a source of a node report a failure of an address now.
func (s *simulated) report(node int, source, ip string) {
	n := s.nodes[node]
	ev := failure(ip, 0)
	ev.Time, ev.Source = s.now.Add(n.skew), source
	n.set.Observe(ev, s.fire(node))
}

// run goes on for a time.
func (s *simulated) run(d time.Duration) {
	end := s.now.Add(d)
	for {
		slices.SortStableFunc(s.due, func(a, b simulatedCall) int { return a.at.Compare(b.at) })
		next := end
		if len(s.due) > 0 && s.due[0].at.Before(end) {
			next = s.due[0].at
		}
		for _, n := range s.nodes { // what is overdue before it
			if at, waits := n.set.Next(); waits && at.Before(next) {
				next = at
			}
		}
		s.now = next
		for i, n := range s.nodes {
			n.set.Advance(s.now, s.fire(i))
		}
		switch {
		case len(s.due) > 0 && !s.due[0].at.After(s.now):
			call := s.due[0]
			s.due = s.due[1:]
			call.do()
		case !s.now.Before(end):
			return
		}
	}
}

// TestFleetCountsExactly has attackers fail twice on each of three nodes, in any order and with other
// clocks. The fifth failure of each fires, once in all; it is reported by one source or two.
func TestFleetCountsExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, skew := range []time.Duration{0, 2 * time.Second} {
		s := simulate(t, 3, func() *Spec { return overFleet(t) })
		for i, n := range s.nodes {
			n.skew = time.Duration(i-1) * skew
		}
		s.delay = func(int, int) time.Duration { return time.Duration(random.IntN(15)) * time.Millisecond }
		fifth := map[string]time.Time{}
		const attackers = 300
		for a := range attackers {
			ip := fmt.Sprintf("203.0.%d.%d", a/100, a%100)
			order := []int{0, 0, 1, 1, 2, 2}
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			begin := time.Duration(random.IntN(10_000)) * time.Millisecond
			for i, node := range order {
				at := begin + time.Duration(i)*50*time.Millisecond
				if i == 4 {
					fifth[ip] = start.Add(at)
				}
				if i == 5 { // banned by then
					continue
				}
				s.after(at, func() { s.report(node, log, ip) })
				if a%2 == 0 {
					s.after(at+time.Duration(random.IntN(10))*time.Millisecond, func() { s.report(node, "esl.pbx", ip) })
				}
			}
		}
		s.run(time.Minute)
		if len(s.fired) != attackers {
			t.Errorf("clocks ±%s: %d firings of %d attackers", skew, len(s.fired), attackers)
		}
		for _, one := range s.fired {
			at := fifth[one.f.Key]
			if late := one.at.Sub(at); late < 0 || late >= 50*time.Millisecond || len(one.f.Evidence) != 5 {
				t.Errorf("clocks ±%s: %s fired %s after the fifth failure, with %d failures", skew, one.f.Key, late, len(one.f.Evidence))
			}
		}
	}
}

// TestFleetEvidence shows where each failure was.
func TestFleetEvidence(t *testing.T) {
	s := simulate(t, 2, func() *Spec { return overFleet(t) })
	for i := range 5 {
		s.report(i%2, log, "203.0.113.7")
		s.run(time.Second)
	}
	if len(s.fired) != 1 || s.fired[0].node != 0 {
		t.Fatalf("%d firings", len(s.fired))
	}
	var got []string
	for _, e := range s.fired[0].f.Evidence {
		got = append(got, e.Source+" "+cmp.Or(e.Text, "without text"))
	}
	const own, peer = "log.freeswitch failure at 0", "sbc1/log.freeswitch without text"
	if want := []string{own, peer, own, peer, own}; !slices.Equal(got, want) {
		t.Errorf("evidence %q, want %q", got, want)
	}
}

// TestFleetPatience loses what two nodes tell the third, which has the latest failure: one of the
// others fires, and tells the other; also if all are reloaded meanwhile.
func TestFleetPatience(t *testing.T) {
	for _, reload := range []bool{false, true} {
		t.Run(fmt.Sprintf("reload %t", reload), func(t *testing.T) { patience(t, reload) })
	}
}

func patience(t *testing.T, reload bool) {
	s := simulate(t, 3, func() *Spec { return overFleet(t) })
	s.delay = func(_, to int) time.Duration {
		if to == 2 {
			return -1
		}
		return time.Millisecond
	}
	for _, node := range []int{0, 0, 1, 1, 2} {
		s.report(node, log, "203.0.113.7")
		s.run(100 * time.Millisecond)
	}
	for _, n := range s.nodes {
		if before := n.set; reload {
			n.set = NewSet([]*Spec{overFleet(t)})
			n.set.Adopt(before)
			n.set.Tell, n.set.Patience = before.Tell, before.Patience
		}
	}
	s.run(10 * time.Second)
	if len(s.fired) != 1 || s.fired[0].node != 0 || len(s.fired[0].f.Evidence) != 5 {
		t.Fatalf("fired: %+v", s.fired)
	}
	for i, n := range s.nodes {
		if _, waits := n.set.Next(); waits {
			t.Errorf("node %d still waits", i)
		}
	}
}

// TestFleetAlone has a node that takes no bans of its peers fire by itself.
func TestFleetAlone(t *testing.T) {
	s := simulate(t, 2, func() *Spec { return overFleet(t) })
	s.nodes[0].set.Alone = true
	for _, node := range []int{0, 0, 1, 1, 1} {
		s.report(node, log, "203.0.113.7")
		s.run(100 * time.Millisecond)
	}
	s.run(10 * time.Second)
	if len(s.fired) != 2 {
		t.Fatalf("%d firings, want one of each node", len(s.fired))
	}
}

// TestPeersDoNotWeaken has a peer tell anything while an address fails here: the rule fires with the
// fifth failure at the latest.
func TestPeersDoNotWeaken(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		spec := overFleet(t)
		s := NewSet([]*Spec{spec})
		s.Tell = func(ID, *Spec, *event.Event, Told) {}
		s.Patience = time.Hour
		fired := 0
		count := func(*Firing) { fired++ }
		for i := range 5 {
			for range random.IntN(4) {
				ev := failure("203.0.113.7", random.IntN(700)-300)
				ev.Node = "evil"
				s.Hear(spec.ID(), ev, Told(1+random.IntN(4)), count)
			}
			s.Observe(failure("203.0.113.7", i), count)
		}
		if fired == 0 {
			t.Fatal("five failures did not fire")
		}
	}
}

// TestFiringWithoutMatches: only a firing for which this node knows the matches holds off its alert.
func TestFiringWithoutMatches(t *testing.T) {
	spec := overFleet(t)
	s := NewSet([]*Spec{spec})
	s.Tell = func(ID, *Spec, *event.Event, Told) {}
	ev := failure("203.0.113.7", 0)
	ev.Node = "evil"
	for i := range 6 {
		if _, subject := s.Hear(spec.ID(), ev, Fired, nil); (subject != "") != (i == 5) {
			t.Errorf("with %d matches the firing is of %q", i, subject)
		}
		for at := range i + 1 {
			one := failure("203.0.113.7", at)
			one.Node = "evil"
			s.Hear(spec.ID(), one, Matched, func(*Firing) {})
		}
	}
}

// TestPeersClearNothing has a peer fill the window of an account with failures of other addresses, at which
// this node fires. The failures here still count: the fifth of them fires at its own address at the latest.
func TestPeersClearNothing(t *testing.T) {
	for _, alone := range []bool{false, true} {
		spec := overFleet(t)
		spec.Threshold.Per = Key{{Field: "user"}, {Field: "domain"}}
		s := NewSet([]*Spec{spec})
		s.Tell, s.Alone = func(ID, *Spec, *event.Event, Told) {}, alone
		foreign, own := 0, 0
		count := func(f *Firing) {
			if f.Event.Node == "" {
				own++
			} else {
				foreign++
			}
		}
		for i := range 5 {
			s.Observe(failure("203.0.113.7", 10*i), count)
			if own > 0 || i == 4 {
				break
			}
			for second := 1; second < 5; second++ {
				s.Hear(spec.ID(), fromPeer("198.51.100.1", 10*i+second), Matched, count)
				s.Advance(start.Add(time.Duration(10*i+second)*time.Second), count) // without patience
			}
		}
		if own == 0 || foreign == 0 {
			t.Errorf("alone is %v: %d firings at failures here, %d at those of the peer", alone, own, foreign)
		}
	}
}

// TestPeersEvidenceOnce has several rules count one event of a peer: it takes one place among the evidence.
func TestPeersEvidenceOnce(t *testing.T) {
	first, second := overFleet(t), overFleet(t)
	second.Name = "another"
	s := NewSet([]*Spec{first, second})
	s.Tell = func(ID, *Spec, *event.Event, Told) {}
	took := func(ev *event.Event, specs ...*Spec) uint64 {
		before := s.ring.written
		for _, spec := range specs {
			s.Hear(spec.ID(), ev, Matched, nil)
		}
		return s.ring.written - before
	}
	ev, next := fromPeer("203.0.113.7", 0), fromPeer("203.0.113.7", 1)
	if one, both := took(ev, first), took(next, first, second); one == 0 || one != both {
		t.Errorf("an event takes %d bytes for one rule, and %d for two", one, both)
	}
}

func fromPeer(ip string, seconds int) *event.Event {
	ev := failure(ip, seconds)
	ev.Node = "sbc2"
	return ev
}

// TestFleetDistinct counts an address that fails at two nodes once.
func TestFleetDistinct(t *testing.T) {
	spec := func() *Spec {
		spec := overFleet(t)
		spec.Threshold.Per, spec.Threshold.Distinct = Key{{Field: "user"}, {Field: "domain"}}, "ip"
		return spec
	}
	s := simulate(t, 2, spec)
	for i := range 4 {
		for node := range 2 {
			s.report(node, log, fmt.Sprintf("203.0.113.%d", i))
			s.run(time.Second)
		}
	}
	if len(s.fired) != 0 {
		t.Fatalf("fired with four addresses: %+v", s.fired)
	}
	s.report(1, log, "203.0.113.9")
	s.run(time.Second)
	if len(s.fired) != 1 || s.fired[0].node != 1 {
		t.Fatalf("fired: %+v", s.fired)
	}
}

// TestFleetThen has failures at one node and the success at another.
func TestFleetThen(t *testing.T) {
	s := simulate(t, 2, func() *Spec {
		spec := guessed(t)
		spec.Fleet = true
		return spec
	})
	for range 3 {
		s.report(0, log, "203.0.113.7")
		s.run(time.Second)
	}
	ev := success("203.0.113.7", 3)
	s.nodes[1].set.Observe(ev, s.fire(1))
	s.run(time.Second)
	s.nodes[0].set.Observe(success("203.0.113.7", 5), s.fire(0))
	if len(s.fired) != 2 { // the windows of node 0 are its own
		t.Fatalf("%d firings", len(s.fired))
	}
	if len(s.fired[0].f.Evidence) != 4 {
		t.Errorf("evidence: %+v", s.fired[0].f.Evidence)
	}
}

// TestOtherRulesDoNotMix refuses matches of a rule that counts something else.
func TestOtherRulesDoNotMix(t *testing.T) {
	spec, other := overFleet(t), overFleet(t)
	other.Threshold.Within = time.Hour
	s := NewSet([]*Spec{spec})
	s.Tell = func(ID, *Spec, *event.Event, Told) {}
	if got, _ := s.Hear(other.ID(), failure("203.0.113.7", 0), Matched, nil); got != nil {
		t.Error("a match of another window is taken")
	}
	ev := failure("203.0.113.7", 0)
	ev.Name = "made up"
	if s.Hear(spec.ID(), ev, Matched, nil); s.Stats()[0].Tracked != 0 {
		t.Error("an event that the rule does not name is counted")
	}
	ev.Name, ev.IP = event.AuthFailure, netip.Addr{}
	if got, _ := s.Hear(spec.ID(), ev, Matched, nil); got != nil {
		t.Error("an event without the key is taken")
	}
}
