package engine

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eslaction "freeswitch-security/actions/esl"
	"freeswitch-security/actions/iptables"
	"freeswitch-security/actions/webhook"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/sources/esl"
	"freeswitch-security/sources/feed"
	"freeswitch-security/sources/logfile"
	"freeswitch-security/sources/sip"
)

var (
	everyTactic = flag.Bool("every-tactic", false, "try all tactics of the attack economy in each state: two minutes of processor time")
)

// Sources of the shipped rules that report what a simulated switch does.
const (
	onStream = "esl.pbx"
	inLog    = "log.freeswitch"
	onWire   = "sip.wire"
)

// setups are the columns of the table: which sources are set up.
var setups = []struct {
	name    string
	sources []string
}{
	{"esl", []string{onStream}},
	{"log", []string{inLog}},
	{"wire", []string{onWire}},
	{"esl and wire", []string{onStream, onWire}},
}

// shippedWith loads the shipped rules with some of their sources.
func shippedWith(t *testing.T, sources []string) *config.Config {
	t.Helper()
	return loadShipped(t, sources, func(text string) string { return text }, "")
}

// loadShipped loads the shipped rules with some of their sources, each file edited, and another file.
func loadShipped(t *testing.T, sources []string, edit func(text string) string, more string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("../rules.d/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no shipped rules", err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		read, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := edit(string(read))
		for ref, block := range map[string]string{onStream: `source "esl" "pbx" {`, inLog: `source "log" "freeswitch" {`, onWire: `source "sip" "wire" {`} {
			if !slices.Contains(sources, ref) {
				text = strings.Replace(text, "\n"+block, "\n"+block+"\n  enabled = false", 1)
			}
		}
		write(filepath.Base(file), text)
	}
	write("99-more.hcl", more)
	kinds := config.Kinds{
		Sources: []plugin.SourceKind{logfile.Kind, esl.Kind(logfile.Builtin, logfile.Framed), feed.Kind, sip.Kind},
		Actions: []plugin.ActionKind{iptables.Kind, eslaction.AccountsKind, webhook.Kind},
	}
	cfg, diags, _ := config.Load(dir, kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return cfg
}

// hasAccount has the attacker register an account of its own, so long before it guesses, and again
// every half an hour.
func hasAccount(before time.Duration) (prepare, renew func(*guesser)) {
	var last time.Time
	prepare = func(g *guesser) {
		g.registers(g.next(), "mallory", "own")
		for range int(before / (30 * time.Minute)) {
			g.now = g.now.Add(30 * time.Minute)
			g.registers(g.next(), "mallory", "own")
		}
		g.now = g.now.Add(before % (30 * time.Minute))
		last = g.now
	}
	renew = func(g *guesser) {
		if _, is := g.dropped(g.next(), ban.UDP); !is && g.now.Sub(last) > 30*time.Minute {
			g.registers(g.next(), "mallory", "own")
			last = g.now
		}
	}
	return prepare, renew
}

// flood has so many other senders fail so often each. They are forged with one nonce of the attacker.
func (g *guesser) flood(senders, failures int) {
	for range senders {
		c := try{from: g.sender(), nonce: g.second, method: "REGISTER", user: "2000"}
		for range failures {
			g.fails(c)
		}
	}
	g.settles()
}

// emptiesBrakes keeps the brakes of the rules empty that would ban the attacker next.
func emptiesBrakes() func(*guesser) {
	var last time.Time
	return func(g *guesser) {
		if g.now.Sub(last) < 9*time.Minute {
			return
		}
		last = g.now
		g.flood(1010, 5)
		g.flood(1010, 20)
	}
}

// evicting has forged senders evict what the rules know of the attacker, after its fourth guess. For
// speed the other rules are left out, and the other set-ups.
func evicting(name string, senders, failures int) state {
	return state{
		name: name, varies: true, rules: []string{"password guessing", "slow password guessing"}, like: []string{"log", "wire", "esl and wire"},
		choose: fastest,
		before: func(g *guesser) {
			if g.n == 4 {
				g.flood(senders, failures)
			}
		},
	}
}

// ofNetwork is why a network has more than an address.
var ofNetwork = func() map[string]reason {
	all := map[string]reason{}
	for _, setup := range setups {
		all[setup.name] = reason{limit{enough, enough}, "Of all addresses together; each is within its limits, which the test demands. The network is banned when 20 of its hosts have failed in six hours (IPv6 /48) or 160 (/24), " +
			"for ten minutes, an hour, six, a day: a /24 often has several owners, and most of it may be innocent"}
	}
	return all
}()

// economy returns the rows of the table.
func economy() []state {
	afterHour, renew := hasAccount(time.Hour + time.Minute)
	states := []state{
		{name: "nothing special"},
		{name: "letters' case mixed", mixed: true},
		{name: "brakes emptied first, by forged senders", before: emptiesBrakes(), choose: fastest},
	}
	for _, c := range []struct {
		ago  string
		time time.Duration
	}{{"a minute", time.Minute}, {"an hour", time.Hour + time.Minute}, {"a day", 24 * time.Hour}} {
		prepare, renew := hasAccount(c.time)
		states = append(states, state{name: "own account registered " + c.ago + " before", prepare: prepare, before: renew, reasons: ofOffice, costly: c.time != time.Hour+time.Minute})
	}
	return append(states,
		state{name: "a registration that moved elsewhere", prepare: func(g *guesser) {
			g.registers(g.next(), "mallory", "first")
			g.now = g.now.Add(2 * time.Hour)
			g.registers(netip.AddrPortFrom(g.second, 5060), "mallory", "second")
			g.now = g.now.Add(time.Minute)
		}},
		state{name: "with nonces that were sent to another address of its own", elsewhere: true, reasons: ofTwo},
		state{name: "the clock stepped back and forth by an hour", before: func(g *guesser) {
			if g.n%3 == 2 {
				g.stepClock([]time.Duration{time.Hour, -time.Hour}[g.n/3%2])
			}
		}},
		state{name: "the guard restarted after every fourth guess", costly: true, before: func(g *guesser) {
			if g.n%4 == 0 {
				g.reboot()
			}
		}},
		state{name: "own account registered an hour before, the guard restarted after every fourth guess", prepare: afterHour, reasons: ofOffice,
			costly: true, before: func(g *guesser) {
				if renew(g); g.n%4 == 0 {
					g.reboot()
					if _, is := g.dropped(g.next(), ban.UDP); !is {
						g.registers(g.next(), "mallory", "own")
					}
				}
			}},
		evicting("trackers evicted by 400,000 forged senders, one failure each", 2*rule.MaxKeys, 1),
		evicting("trackers evicted by 200,000 forged senders, four failures each", rule.MaxKeys, 4),
		state{name: "another address for each guess, of a /24", home: "198.51.100.0/24", reasons: ofNetwork, costly: true},
		state{name: "another address for each guess, of an IPv6 /48, five of each /64", home: "2001:db8:77::/48", perHost: 5, reasons: ofNetwork, costly: true},
		state{name: "another address for each guess, of an IPv6 /48, one of each /64", home: "2001:db8:77::/48", perHost: 1, reasons: ofNetwork, costly: true},
	)
}

// ofTwo is why nonces of another address give as much as that would have.
var ofTwo = map[string]reason{"wire": bothTogether, "esl and wire": bothTogether}

var bothTogether = reason{limit{40, 120}, "Of both addresses together: a guess counts where its nonce was sent, and at the sender once that is banned"}

// worst returns the most that any tactic has.
func worst(t *testing.T, cfg *config.Config, one state, setup string, sources []string) limit {
	var most limit
	if one.rules != nil {
		some := *cfg
		some.Rules = slices.DeleteFunc(slices.Clone(cfg.Rules), func(r *rule.Spec) bool { return !slices.Contains(one.rules, r.Name) })
		cfg = &some
	}
	for _, how := range tactics {
		if one.choose != nil && !one.choose(&how) || one.costly && !*everyTactic && !isWorst(&how) {
			continue
		}
		g := &guesser{
			simulation: simulate(t, cfg, sources), state: one, tactic: how,
			home: netip.MustParsePrefix(cmp.Or(one.home, "198.51.100.99/32")), second: netip.MustParseAddr("198.51.100.200"),
		}
		got := g.run(heard[setup])
		if got.hour > usual.hour || got.day > usual.day {
			t.Logf("%v: %v", &how, got)
		}
		if one := g.ofHost(); one.hour > usual.hour || one.day > usual.day {
			t.Errorf("%v: one address of many has %v", &how, one)
		}
		most.hour, most.day = max(most.hour, got.hour), max(most.day, got.day)
	}
	return most
}

// ofOffice are the reasons for what an address with a registered phone may have.
var ofOffice = map[string]reason{
	"esl":          {limit{120, 24 * 120}, "It may be an office in whose name a forger fails: only the wire could tell. `protected_failures = 20` allows 20 and 60"},
	"wire":         {limit{120, 24 * 120}, onePhone},
	"esl and wire": {limit{120, 24 * 120}, onePhone},
}

const onePhone = "One account at a phone's pace: it may be an office with an old password. At several accounts, or faster: 20 and 60"

// A table is what is written to DESIGN.md.
type table struct {
	rows  []string
	cells map[string]cell // by "set-up: row"
}

type cell struct{ text, note string }

func (t *table) write(b *strings.Builder, first string) {
	line := func(cells ...string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	heads, rules := []string{first}, []string{"---"}
	for _, setup := range setups {
		heads, rules = append(heads, setup.name), append(rules, "---")
	}
	line(heads...)
	line(rules...)
	var notes []string
	for _, row := range t.rows {
		texts := []string{row}
		for _, setup := range setups {
			one := t.cells[setup.name+": "+row]
			if one.note != "" {
				if !slices.Contains(notes, one.note) {
					notes = append(notes, one.note)
				}
				one.text += fmt.Sprintf(" [%d]", slices.Index(notes, one.note)+1)
			}
			texts = append(texts, one.text)
		}
		line(texts...)
	}
	b.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(b, "%d. %s.\n", i+1, note)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
}

// TestAttackEconomy holds the shipped rules to the limits of the attack economy, and DESIGN.md to what
// they give.
func TestAttackEconomy(t *testing.T) {
	before := debug.SetGCPercent(400) // a fifth of its time
	t.Cleanup(func() { debug.SetGCPercent(before) })
	guesses, framing := &table{cells: map[string]cell{}}, &table{cells: map[string]cell{}}
	for _, one := range economy() {
		guesses.rows = append(guesses.rows, one.name)
	}
	for _, who := range framees {
		framing.rows = append(framing.rows, who.name)
	}
	var mu sync.Mutex // guards the cells
	put := func(t *testing.T, table *table, key string, find func(t *testing.T) cell) {
		t.Run(key, func(t *testing.T) {
			found := find(t)
			mu.Lock()
			defer mu.Unlock()
			table.cells[key] = found
		})
	}
	t.Run("with", func(t *testing.T) {
		for _, setup := range setups {
			t.Run(setup.name, func(t *testing.T) {
				t.Parallel()
				cfg := shippedWith(t, setup.sources)
				for _, one := range economy() {
					put(t, guesses, setup.name+": "+one.name, func(t *testing.T) cell {
						if slices.Contains(one.like, setup.name) {
							return cell{"as esl", "The log and the event socket are counted alike. On the wire the failures of forged senders count where the nonce was sent, and evict nothing"}
						}
						return one.cell(t, worst(t, cfg, one, setup.name, setup.sources), setup.name)
					})
				}
				for _, who := range framees {
					put(t, framing, setup.name+": "+who.name, func(t *testing.T) cell {
						_, allowed := who.allowed[setup.name]
						return who.cell(t, framed(t, cfg, setup.sources, who, allowed), setup.name)
					})
				}
			})
		}
	})
	if all := len(setups) * (len(guesses.rows) + len(framing.rows)); !t.Failed() && len(guesses.cells)+len(framing.cells) == all {
		compareDesign(t, guesses, framing)
	}
}

// cell returns what an attacker has, and fails if that is above the limit.
func (s *state) cell(t *testing.T, got limit, setup string) cell {
	reason, may := s.reasons[setup], usual
	if reason.text != "" {
		may = reason.limit
	}
	if got.hour > may.hour || got.day > may.day {
		t.Errorf("%d in an hour and %d in a day, at most %d and %d are allowed", got.hour, got.day, may.hour, may.day)
	}
	text := fmt.Sprintf("%d, %d", got.hour, got.day)
	switch {
	case s.varies:
		text = fmt.Sprintf("at most %d, %d", may.hour, may.day)
	case got.hour >= enough:
		text = "no limit"
	case got.day >= enough:
		text = fmt.Sprintf("%d, over %d", got.hour, enough)
	}
	return cell{text, reason.text}
}

// cell says whether the address can be banned, and fails if it should not.
func (f *framee) cell(t *testing.T, by []string, setup string) cell {
	if len(by) == 0 {
		return cell{"no", ""}
	}
	why, allowed := f.allowed[setup]
	if !allowed {
		t.Errorf("banned by %q", by)
	}
	return cell{"yes", why}
}

// marks enclose what is generated in DESIGN.md.
const (
	design    = "DESIGN.md"
	markBegin = "<!-- go test ./engine -run AttackEconomy -update -->\n"
	markEnd   = "<!-- end -->\n"
)

func compareDesign(t *testing.T, guesses, framing *table) {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n")
	guesses.write(&b, "answered guesses, in any hour and in any day")
	framing.write(&b, "can a forger have it banned?")
	compareGenerated(t, markBegin, b.String())
}

// compareGenerated compares what DESIGN.md has behind a mark with what it should have, or writes it.
func compareGenerated(t *testing.T, begin, want string) {
	t.Helper()
	text, err := os.ReadFile(design)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, markEnd)
	switch {
	case !ok || !closed:
		t.Fatalf("%s has no place for the table: %s", design, begin)
	case *golden.Update:
		if err := os.WriteFile(design, []byte(before+begin+want+markEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case old != want:
		t.Errorf("%s is stale; -update writes it, see %s. It should have:\n%s", design, begin, want)
	}
}
