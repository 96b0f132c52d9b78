//go:build kernel

package kernel

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A deed is a ban or an unban by a person at one node.
type deed struct {
	node     int
	banned   bool
	until    time.Time
	standing bool // it was banned already, for longer
	sure     bool // the node has acknowledged it
}

// A storm is a fleet whose programs are killed, whose packets are dropped, and what must become of it.
type storm struct {
	*testing.T
	rng    *rand.Rand
	hub    *hub
	fleet  []*member
	apis   []*api
	dead   []bool
	cut    []bool
	deeds  map[string][]deed            // of this round
	silent map[string]map[int]time.Time // since when no packet of an address may arrive at a node
	ruled  []string                     // addresses that failed in a log
}

// TestFleetChaos kills guards and the server with kill -9, drops packets between them and reloads,
// $FLEET_KILLS rounds of it, while people ban and unban at all nodes. After each round all nodes agree on
// what was acknowledged. No packet of a banned address arrives at a node that acknowledged the ban.
func TestFleetChaos(t *testing.T) {
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv("FLEET_KILLS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("FLEET_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("FLEET_SEED=%d, %d rounds", seed, rounds)
	s := &storm{T: t, rng: rand.New(rand.NewPCG(seed, 0)), silent: map[string]map[int]time.Time{}, dead: make([]bool, 3), cut: make([]bool, 3)}
	s.begin()
	before := s.agreed()
	for round := range rounds {
		s.deeds = map[string][]deed{}
		t.Logf("round %d", round)
		for range 1 + s.rng.IntN(2) {
			s.disturb()
			for range 2 + s.rng.IntN(3) {
				s.decide()
			}
		}
		s.offend(round)
		s.listen()
		s.heal()
		after := s.agreed()
		s.check(before, after)
		s.listen()
		if t.Failed() {
			return
		}
		before = after
	}
}

// begin starts the fleet, and what sends from each address to all nodes.
func (s *storm) begin() {
	s.hub, s.fleet = startFleet(s.T, `backend = "ipset"`)
	s.Cleanup(func() {
		for _, m := range s.fleet {
			if s.Failed() {
				s.Logf("%s:\n%s", m.address, m.said)
			}
		}
	})
	var conns []net.Conn
	for _, m := range s.fleet {
		s.apis = append(s.apis, askingAt(s, m.socket))
		for i := range victims {
			conns = append(conns, dialTo(s, victim(i), m.address))
		}
	}
	s.Cleanup(every(20*time.Millisecond, func() {
		for _, c := range conns {
			_, _ = c.Write([]byte("x"))
		}
	}))
}

// victims is how many addresses people decide about.
const victims = 5

func victim(i int) string { return fmt.Sprintf("203.0.113.%d", 100+i) }

// disturb kills, cuts off or reloads something.
func (s *storm) disturb() {
	i := s.rng.IntN(len(s.fleet))
	switch s.rng.IntN(6) {
	case 0, 1:
		if !s.dead[i] {
			s.Logf("kill -9 of %s", s.fleet[i].address)
			s.fleet[i].stop(syscall.SIGKILL)
			s.dead[i] = true
		}
	case 2:
		s.Log("kill -9 of the server")
		s.hub.kill()
	case 3, 4:
		s.Logf("packets of %s to the server are dropped", s.fleet[i].address)
		s.part(i, true)
		pause(time.Duration(s.rng.IntN(3000)) * time.Millisecond) // seen as lost after four to six seconds
	case 5:
		if !s.dead[i] {
			s.Logf("reload of %s", s.fleet[i].address)
			if err := s.fleet[i].cmd.Process.Signal(syscall.SIGHUP); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// part drops the packets between a node and the server, or no longer.
func (s *storm) part(i int, cut bool) {
	if s.cut[i] == cut {
		return
	}
	s.cut[i] = cut
	how := "-D"
	if cut {
		how = "-I"
	}
	run(s, nil, "iptables "+how+" INPUT -s "+s.fleet[i].address+" -j DROP", "iptables "+how+" OUTPUT -d "+s.fleet[i].address+" -j DROP")
}

// heal starts what was killed, in any order, and connects all.
func (s *storm) heal() {
	for _, i := range s.rng.Perm(len(s.fleet) + 1) {
		switch {
		case i == len(s.fleet):
			s.hub.start()
		case s.dead[i]:
			s.fleet[i].start()
			s.dead[i] = false
		}
	}
	for i := range s.cut {
		s.part(i, false)
	}
}

// decide has a person ban or unban an address at a node that runs. Two nodes at most decide about an
// address in one round. Now and then the node is killed before it answers.
func (s *storm) decide() {
	i, ip := s.rng.IntN(len(s.fleet)), victim(s.rng.IntN(victims))
	made := s.deeds[ip]
	if s.dead[i] || len(made) > 1 || len(made) == 1 && made[0].node == i {
		return
	}
	ban, grace, ttl := s.rng.IntN(3) > 0, s.rng.IntN(2) == 0, 1+s.rng.IntN(300)
	method, path, body := "POST", "/security/blacklist", fmt.Sprintf(`{"ip": %q, "ttl": "%dm"}`, ip, 60+ttl)
	if !ban {
		delete(s.silent, ip)
		method, path, body = "DELETE", path+"/"+ip, ""
		if grace {
			path += "?grace=1m"
		}
	}
	if s.rng.IntN(6) == 0 {
		victim := s.fleet[i]
		time.AfterFunc(time.Duration(s.rng.IntN(8000))*time.Microsecond, func() { _ = victim.cmd.Process.Kill() })
		s.dead[i] = true
	}
	asked := time.Now()
	status, answer, err := s.apis[i].ask(method, path, body)
	s.Logf("%s %s %s at %s: %d %.160s", method, path, body, s.fleet[i].address, status, strings.TrimSpace(answer))
	var got change
	d := deed{node: i, banned: ban, until: asked, sure: err == nil && status == http.StatusOK && json.Unmarshal([]byte(answer), &got) == nil}
	if s.dead[i] {
		<-s.fleet[i].done
	}
	if !d.sure && !s.dead[i] {
		s.Fatalf("not answered: %v", err)
	}
	if d.sure && ban {
		d.until, d.standing = got.ExpiresAt, strings.Contains(got.Message, "already banned")
		if !d.standing || len(made) == 0 || made[0].banned {
			s.hush(ip, i)
		}
	}
	if !d.sure && ban {
		d.until = time.Time{} // not known
	}
	s.deeds[ip] = append(made, d)
}

// hush notes that no packet of an address may arrive at a node from now on.
func (s *storm) hush(ip string, node int) {
	if s.silent[ip] == nil {
		s.silent[ip] = map[int]time.Time{}
	}
	if _, known := s.silent[ip][node]; !known {
		s.silent[ip][node] = time.Now()
	}
}

// listen checks that what was to be silent was.
func (s *storm) listen() {
	s.Helper()
	for ip, nodes := range s.silent {
		for i, since := range nodes {
			if _, last := s.fleet[i].ear.heard(ip); last.After(since) {
				s.Errorf("a packet of %s arrived at %s %s after the node had acknowledged its ban", ip, s.fleet[i].address, last.Sub(since))
			}
		}
	}
}

// offend has an address of its own fail at a node, which may be dead or cut off. All ban it in the end.
func (s *storm) offend(round int) {
	ip := fmt.Sprintf("198.18.%d.%d", round>>8, round&255)
	s.fleet[s.rng.IntN(len(s.fleet))].write(failure(ip))
	s.ruled = append(s.ruled, ip)
}

// agreed waits until all nodes have joined and told all, and have the same bans, and returns their ends.
func (s *storm) agreed() (bans map[string]time.Time) {
	s.Helper()
	began := time.Now()
	var all []map[string]time.Time
	var differ string
	s.Cleanup(func() {
		if s.Failed() {
			s.Log(differ)
		}
	})
	watching(s, 40*time.Second, 50*time.Millisecond, "all agree", func() bool {
		all, differ = nil, ""
		for i, a := range s.apis {
			var one struct {
				Fleet struct {
					Joined bool
					Unsent int
				}
			}
			a.does("GET", "/security/status", "", &one)
			all = append(all, bansAt(a))
			if !one.Fleet.Joined || one.Fleet.Unsent > 0 || !reflect.DeepEqual(all[0], all[i]) {
				differ += fmt.Sprintf("%s: %+v, bans %v\n", s.fleet[i].address, one.Fleet, all[i])
			}
		}
		for _, ip := range s.ruled {
			if _, ok := all[0][ip]; !ok {
				differ += ip + " is not banned\n"
			}
		}
		return differ == ""
	})
	s.Logf("all agree on %d bans after %s", len(all[0]), time.Since(began).Round(time.Millisecond))
	return all[0]
}

func bansAt(a *api) map[string]time.Time {
	a.Helper()
	var bans map[string]struct{ ExpiresAt time.Time }
	a.does("GET", "/security/blacklist", "", &bans)
	ends := map[string]time.Time{}
	for ip, b := range bans {
		ends[ip] = b.ExpiresAt
	}
	return ends
}

// check compares the bans with what was decided, and has all nodes be silent, or let the packets pass.
func (s *storm) check(before, after map[string]time.Time) {
	s.Helper()
	for i := range victims {
		ip := victim(i)
		until, banned := after[ip]
		end, was := before[ip]
		if !allows(s.deeds[ip], deed{banned: was, until: end}, deed{banned: banned, until: until}) {
			s.Errorf("%s is banned: %t, until %s; before: %t, until %s; decided: %+v", ip, banned, until, was, end, s.deeds[ip])
		}
		for j, m := range s.fleet {
			if banned {
				eventually(s, 5*time.Second, ip+" is silent at "+m.address, func() bool {
					_, last := m.ear.heard(ip)
					return time.Since(last) > 100*time.Millisecond
				})
				s.hush(ip, j)
			} else {
				now := time.Now()
				eventually(s, 5*time.Second, "packets of "+ip+" arrive at "+m.address, func() bool { _, last := m.ear.heard(ip); return last.After(now) })
			}
		}
	}
}

// allows reports whether decisions, in their order, may lead from one state to another. All clocks are one,
// so of a ban and an unban the later one stands; of two bans the longer one. What was not acknowledged may
// have happened.
func allows(deeds []deed, from, to deed) bool {
	if len(deeds) == 0 {
		return from.banned == to.banned && (!to.banned || from.until.Equal(to.until))
	}
	d, rest := deeds[0], deeds[1:]
	if !d.sure && allows(rest, from, to) {
		return true
	}
	switch {
	case !d.banned:
		return allows(rest, deed{}, to)
	case d.standing:
		return allows(rest, from, to)
	case !d.sure: // its end is not known
		return allows(rest, deed{banned: true, until: to.until}, to)
	case !from.banned || d.until.After(from.until):
		from = deed{banned: true, until: d.until}
	}
	return allows(rest, from, to)
}
