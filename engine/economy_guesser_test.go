package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"
)

// A guesser is an attacker with addresses of its own.
type guesser struct {
	*simulation
	state
	tactic
	home     netip.Prefix // its addresses
	second   netip.Addr   // another address of its own, which does not guess
	nonceAt  time.Time    // when that was last sent a nonce
	ports    uint16       // used up
	used     int          // addresses, likewise
	n        int          // guesses
	answered []answer
	prepared time.Time
}

// An answer is a guess that was answered.
type answer struct {
	at   time.Time
	host netip.Prefix
}

// A state is a row of the table: what an attacker does beside guessing, and what else happens.
type state struct {
	name      string
	home      string             // its addresses; empty: one
	perHost   int                // addresses of each IPv6 /64 that guess
	prepare   func(*guesser)     // before the first guess
	before    func(*guesser)     // before each guess
	choose    func(*tactic) bool // the tactics that are tried; nil: all
	costly    bool               // only the worst tactics are tried, see isWorst
	mixed     bool               // the case of letters
	elsewhere bool               // the nonces were sent to its second address
	rules     []string           // alone; nil: all
	like      []string           // set-ups that are not simulated
	varies    bool               // the hashes of a process decide how much it is, within the limit
	reasons   map[string]reason  // by set-up, of another limit than the usual one
}

// A limit is what an attacker may have at most in any hour and in any day.
type limit struct{ hour, day int }

var usual = limit{20, 60}

// A reason says why a limit is another one.
type reason struct {
	limit
	text string
}

// A tactic is how an attacker guesses.
type tactic struct {
	pace    pace
	mix     bool // all methods that the switch reports, in turn; else REGISTER
	tcp     bool
	users   int  // accounts in turn; 0: another each time
	unknown bool // every second account does not exist
}

func (t *tactic) String() string {
	return fmt.Sprintf("%s, mix %v, tcp %v, %d accounts, unknown %v", t.pace.name, t.mix, t.tcp, t.users, t.unknown)
}

// A pace says how long an attacker waits before the next guess.
type pace struct {
	name string
	wait func(g *guesser) time.Duration
}

// below returns how long to wait until fewer than count guesses are within the time.
func (g *guesser) below(count int, within time.Duration) time.Duration {
	if len(g.answered) < count {
		return 0
	}
	return max(0, g.answered[len(g.answered)-count].at.Add(within+2*time.Second).Sub(g.now))
}

func every(d time.Duration) func(*guesser) time.Duration {
	return func(*guesser) time.Duration { return d }
}

// patient stays below the thresholds for a time, and then below that of the fast rule alone.
func patient(until time.Duration) func(*guesser) time.Duration {
	return func(g *guesser) time.Duration {
		wait := max(g.below(4, 10*time.Minute), 100*time.Millisecond)
		if g.now.Sub(g.prepared) < until {
			wait = max(wait, g.below(19, 12*time.Hour))
		}
		return wait
	}
}

// tactics are those of all states.
var tactics = func() (all []tactic) {
	for _, p := range []pace{
		{"ten a second", every(100 * time.Millisecond)},
		{"one a minute", every(time.Minute)},
		{"one in 151 seconds", every(151 * time.Second)},
		{"four in ten minutes", patient(0)},
		{"19 in twelve hours, then four in ten minutes", patient(12*time.Hour + 3*time.Second)},
		{"19 in twelve hours", patient(100 * time.Hour)},
	} {
		all = append(all,
			tactic{pace: p, users: 1}, tactic{pace: p, users: 1, tcp: true}, tactic{pace: p, users: 1, mix: true},
			tactic{pace: p, mix: true}, tactic{pace: p, users: 4, unknown: true})
	}
	return all
}()

// isWorst reports whether a tactic is one of four that are the worst ones in all states, as -every-tactic
// shows: no other has more in any hour or day.
func isWorst(t *tactic) bool {
	switch t.pace.name {
	case "one a minute", "19 in twelve hours, then four in ten minutes":
		return t.users == 1 && !t.tcp && t.mix
	}
	return t.pace.name == "ten a second" && t.users == 1 && !t.tcp
}

// fastest chooses one tactic, for states in which no other is possible for long.
func fastest(t *tactic) bool { return isWorst(t) && t.pace.name == "ten a second" && !t.mix }

// heard are the methods that a set-up reports.
var heard = map[string][]string{
	"esl": {"REGISTER", "verto", "INVITE"}, "log": {"REGISTER", "INVITE"}, "wire": {"REGISTER", "INVITE", "MESSAGE"},
	"esl and wire": {"REGISTER", "verto", "INVITE", "MESSAGE"},
}

const (
	enough = 300            // guesses after which a run ends
	span   = 50 * time.Hour // of a run
)

// next returns the address of the next guess.
func (g *guesser) next() netip.AddrPort {
	a := g.home.Addr()
	if !g.home.IsSingleIP() {
		b := a.As16()
		if a.Is4() {
			b[15] = byte(1 + g.used%254)
		} else {
			host := g.used / g.perHost
			b[6], b[7], b[15] = byte(host>>8), byte(host), byte(1+g.used%g.perHost)
		}
		a = netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrPortFrom(a, 5060+g.ports)
}

// run guesses until the time is over, and returns the most answers in any hour and any day.
func (g *guesser) run(methods []string) limit {
	if g.prepare != nil {
		g.prepare(g)
		g.settles()
	}
	g.prepared = g.now
	for end := g.now.Add(span); g.now.Before(end) && len(g.answered) < enough; {
		g.now = g.now.Add(g.pace.wait(g))
		if g.before != nil {
			g.before(g)
		}
		g.guess(methods)
	}
	return limit{most(g.answered, time.Hour), most(g.answered, 24*time.Hour)}
}

// guess tries one password. If it would be dropped, the attacker changes its port, or its address, or
// waits.
func (g *guesser) guess(methods []string) {
	from, protocol := g.next(), ban.UDP
	if g.tcp {
		protocol = ban.TCP
	}
	if _, is := g.dropped(from, protocol); is {
		switch until, all := g.dropped(netip.AddrPortFrom(from.Addr(), 1), protocol); {
		case !all:
			g.ports++
		case !g.home.IsSingleIP():
			g.used++
			g.now = g.now.Add(time.Second)
		default:
			g.now = until.Add(time.Second)
		}
		return
	}
	c := try{from: from, nonce: from.Addr(), method: methods[0], tcp: g.tcp, domain: "pbx.example.org", user: fmt.Sprint(1000 + g.n)}
	if g.mix {
		c.method = methods[g.n%len(methods)]
	}
	if g.users > 0 {
		c.user = fmt.Sprint("user", g.n%g.users)
	}
	if g.elsewhere && g.hasNonce() {
		c.nonce = g.second
	}
	if c.unknown = g.unknown && g.n%2 == 1; !c.unknown {
		host, _ := rule.Host.Of(from.Addr(), nil)
		g.answered = append(g.answered, answer{g.now, host})
	}
	if g.mixed && g.n%2 == 1 {
		c.user, c.domain = strings.ToUpper(c.user), strings.ToUpper(c.domain)
	}
	g.n++
	g.used++
	g.fails(c)
	g.settles()
}

// hasNonce reports whether the second address has a nonce, which lives for a minute, or gets one.
func (g *guesser) hasNonce() bool {
	if g.now.Sub(g.nonceAt) < time.Minute {
		return true
	}
	if _, is := g.dropped(netip.AddrPortFrom(g.second, 5060), ban.UDP); is {
		return false
	}
	g.nonceAt = g.now
	return true
}

// ofHost returns the most that one of its addresses has, if it has many.
func (g *guesser) ofHost() (of limit) {
	if g.home.IsSingleIP() {
		return of
	}
	each := map[netip.Prefix][]answer{}
	for _, a := range g.answered {
		each[a.host] = append(each[a.host], a)
	}
	for _, answered := range each {
		of.hour, of.day = max(of.hour, most(answered, time.Hour)), max(of.day, most(answered, 24*time.Hour))
	}
	return of
}

// most returns the most answers in any time as long as within.
func most(answered []answer, within time.Duration) (most int) {
	first := 0
	for i, a := range answered {
		for a.at.Sub(answered[first].at) >= within {
			first++
		}
		most = max(most, i+1-first)
	}
	return most
}
