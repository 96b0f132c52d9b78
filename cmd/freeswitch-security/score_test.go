package main

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"freeswitch-security/engine/ban"
)

// A way is a choice of sources for a recording.
type way struct {
	name        string
	log         string // the log that is read
	events      bool   // the events of the event socket
	records     bool   // the log records of the event socket
	corroborate bool   // the log is corroborated by the events
	blocked     int    // attackers of our own recording that are banned, at least
	fires       []string
}

// The rules that fire on our own recording, by the sources that they need.
var (
	onFailures = []string{
		"password guessing", "password spraying", "unauthenticated flood",
		"distributed guessing", "distributed attack on a domain", "many accounts from one network",
	}
	onLines     = []string{"extension enumeration", "registration to the bare IP", "fast extension scan"}
	onRefusals  = []string{"acl rejection", "event socket"}
	onForgeries = []string{"log forgery"}
	onEvents    = []string{
		"verto guessing", "extension scan", "attack tool", "toolkit with wrong passwords", "borrowed name on many accounts",
		"abandoned calls", "call flood", "toll fraud",
	}
)

var ways = []way{
	{name: "a log of its own for the guard", log: "security.log", blocked: 90, fires: slices.Concat(onFailures, onLines, onRefusals)},
	{name: "FreeSWITCH's default log, which callers can write into", log: "freeswitch.log", blocked: 90,
		fires: slices.Concat(onFailures, onLines, onRefusals, onForgeries)},
	{name: "the event socket, events alone", events: true, blocked: 132, fires: slices.Concat(onFailures, onEvents)},
	{name: "the event socket", events: true, records: true, blocked: 138, fires: slices.Concat(onFailures, onEvents, onRefusals)},
	{name: "the default log, corroborated by events", log: "freeswitch.log", events: true, corroborate: true, blocked: 138,
		fires: slices.Concat(onFailures, onEvents, onRefusals, onForgeries)},
	{name: "as shipped: the event socket, and the default log", log: "freeswitch.log", events: true, records: true, blocked: 138,
		fires: slices.Concat(onFailures, onEvents, onRefusals, onForgeries)},
}

// TestScore replays every recording with the shipped rules, in every way. Innocent addresses are never
// banned; every attacker that fails five times in ten minutes is banned at its fifth failure.
// $RECORDINGS is a directory of other recordings; on our own, every rule that can fires. -v prints
// the scoreboard.
func TestScore(t *testing.T) {
	dir, given := os.LookupEnv("RECORDINGS")
	if !given || dir == "" {
		dir, given = recordedAttack, false
	}
	if joined(t, dir, "hep.raw") != nil {
		t.Skip("TestScoreWire scores it")
	}
	for _, r := range recordingsIn(t, dir) {
		for _, w := range ways {
			t.Run(r.name+"/"+w.name, func(t *testing.T) {
				s := score(t, &r, w)
				s.print(t.Output())
				s.require(t)
				if given {
					return
				}
				if blocked := s.total().blocked; blocked < w.blocked {
					t.Errorf("%d attackers are banned, want %d", blocked, w.blocked)
				}
				for _, rule := range w.fires {
					if !s.fired(rule) {
						t.Errorf("the rule %q did not fire", rule)
					}
				}
			})
		}
	}
}

// A tally counts the senders of one scenario.
type tally struct {
	seen      int // attackers with reports
	bound     int // of those: failed five times in ten minutes
	blocked   int // of those seen
	missed    []string
	late      []string
	took      []time.Duration // from the first report to the ban
	attempts  []int
	innocent  []string // banned although innocent
	undecided int      // offices with good phones and a bad one
	banned    []string // of those undecided
}

// A scoreboard is the result of a recording in one way.
type scoreboard struct {
	way       way
	recorded  *recorded
	reference acts
	verdicts  []ban.Change
	scenarios map[string]*tally
}

func score(t *testing.T, r *recorded, w way) *scoreboard {
	t.Helper()
	given := map[string][]byte{}
	if w.log != "" {
		log := joined(t, r.dir, w.log)
		if log == nil {
			t.Skipf("%s has no %s", r.name, w.log)
		}
		given["log.freeswitch"] = log
	}
	switch {
	case w.records:
		given["esl.pbx"] = r.socket(t)
	case w.events:
		given["esl.pbx"] = joined(t, r.dir, "esl-json.raw")
	}
	s := &scoreboard{way: w, recorded: r, scenarios: map[string]*tally{}}
	s.verdicts = play(t, r.rulesFor(t, w.corroborate), given)

	events := inEvents(t, frames(t, joined(t, r.dir, "esl-json.raw"), r.zone(t)))
	records := inRecords(frames(t, joined(t, r.dir, "esl-log.raw"), r.zone(t)))
	switch {
	case !w.events:
		s.reference = records
	case w.records || w.log != "":
		s.reference = events.with(records)
	default:
		s.reference = events
	}
	for ip, from := range r.truth.Sources {
		for _, scenario := range from.Scenarios {
			s.judge(s.scenario(scenario), netip.MustParseAddr(ip), from.Expect)
		}
	}
	return s
}

func (s *scoreboard) scenario(name string) *tally {
	if s.scenarios[name] == nil {
		s.scenarios[name] = &tally{}
	}
	return s.scenarios[name]
}

// banOf returns the first ban of an address; nil if it is never banned.
func (s *scoreboard) banOf(ip netip.Addr) *ban.Change {
	for i := range s.verdicts {
		if v := &s.verdicts[i]; v.InForce() && v.Target.Prefix().Contains(ip) {
			return v
		}
	}
	return nil
}

func (s *scoreboard) judge(in *tally, ip netip.Addr, expect string) {
	ban := s.banOf(ip)
	switch expect {
	case "never_block":
		if ban != nil {
			in.innocent = append(in.innocent, ip.String())
		}
	case "undecided":
		in.undecided++
		if ban != nil {
			in.banned = append(in.banned, ip.String())
		}
	default:
		if did := s.reference[ip]; len(did) > 0 {
			in.attacker(ip, did, ban)
		}
	}
}

// attacker counts an attacker with reports.
func (in *tally) attacker(ip netip.Addr, did []act, ban *ban.Change) {
	in.seen++
	limit, bound := fifth(did)
	if bound {
		in.bound++
	}
	switch {
	case ban == nil && bound:
		in.missed = append(in.missed, ip.String())
	case ban != nil:
		in.blocked++
		attempts, took := effort(did, ban.At, len(ban.Evidence))
		in.attempts, in.took = append(in.attempts, attempts), append(in.took, took)
		if bound && ban.At.After(limit) {
			in.late = append(in.late, ip.String())
		}
	}
}

// total sums up all scenarios. An address in two of them counts twice.
func (s *scoreboard) total() *tally {
	all := &tally{}
	for _, in := range s.scenarios {
		all.seen += in.seen
		all.bound += in.bound
		all.blocked += in.blocked
		all.undecided += in.undecided
		all.missed = append(all.missed, in.missed...)
		all.late = append(all.late, in.late...)
		all.took = append(all.took, in.took...)
		all.attempts = append(all.attempts, in.attempts...)
		all.innocent = append(all.innocent, in.innocent...)
		all.banned = append(all.banned, in.banned...)
	}
	return all
}

// print writes a line for each scenario: attackers with reports, and the banned ones of them; those
// with five failures in ten minutes, and of these the missed and the late ones; time and attempts
// until the ban, median and worst; innocent addresses that are banned; and offices with a bad phone.
func (s *scoreboard) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", s.recorded.name, s.way.name)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tseen\tblocked\tmust\tmissed\tlate\ttime\tworst\tattempts\tworst\tinnocent\tundecided\tblocked")
	for _, name := range slices.Sorted(maps.Keys(s.scenarios)) {
		s.scenarios[name].print(table, name)
	}
	s.total().print(table, "all")
	table.Flush()
}

func (in *tally) print(w io.Writer, name string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\n", name, in.seen, in.blocked, in.bound, len(in.missed), len(in.late),
		in.cost(), len(in.innocent), in.undecided, len(in.banned))
}

// cost returns the time and the attempts until the ban, each median and worst.
func (in *tally) cost() string {
	if in.blocked == 0 {
		return "-\t-\t-\t-"
	}
	slices.Sort(in.took)
	slices.Sort(in.attempts)
	last, middle := in.blocked-1, in.blocked/2
	return fmt.Sprintf("%s\t%s\t%d\t%d", in.took[middle].Round(10*time.Millisecond), in.took[last].Round(10*time.Millisecond),
		in.attempts[middle], in.attempts[last])
}

// require checks what holds for every recording.
func (s *scoreboard) require(t *testing.T) {
	t.Helper()
	all := s.total()
	if len(all.innocent) > 0 {
		t.Errorf("innocent and banned: %v", all.innocent)
	}
	for _, ip := range s.recorded.truth.NeverBlock {
		if s.banOf(ip) != nil {
			t.Errorf("%s is innocent and banned", ip)
		}
	}
	if len(all.missed) > 0 {
		t.Errorf("failed five times in ten minutes and not banned: %v", all.missed)
	}
	if len(all.late) > 0 {
		t.Errorf("banned after the fifth failure: %v", all.late)
	}
	s.requireOffices(t)
	s.requireNamed(t)
	s.requireQuiet(t)
	s.requireForgers(t)
}

// fired reports whether a rule banned or alerted.
func (s *scoreboard) fired(rule string) bool {
	return slices.ContainsFunc(s.verdicts, func(v ban.Change) bool {
		return v.Rule == rule && (v.InForce() || v.Kind == ban.KindAlert)
	})
}

// requireForgers demands that a writer of forged lines is banned for them.
func (s *scoreboard) requireForgers(t *testing.T) {
	t.Helper()
	writers := s.in("log_injection")
	charged := slices.ContainsFunc(writers, func(ip netip.Addr) bool {
		ban := s.banOf(ip)
		return ban != nil && ban.Rule == "log forgery"
	})
	if s.way.log == "freeswitch.log" && len(writers) > 0 && !charged {
		t.Errorf("none of %v is banned for its forged lines", writers)
	}
}

// requireOffices demands that an office with good phones and a bad one is spared, with one alert. A log
// alone does not show the good ones.
func (s *scoreboard) requireOffices(t *testing.T) {
	t.Helper()
	for ip, from := range s.recorded.truth.Sources {
		if from.Expect != "undecided" || !s.way.events {
			continue
		}
		address := netip.MustParseAddr(ip)
		if s.banOf(address) != nil {
			t.Errorf("%s is banned, where phones are registered", ip)
		}
		told := s.about(address)
		account := s.tried([]netip.Addr{address})
		if len(told) != 1 || told[0].Kind != ban.KindSpare || !strings.Contains(told[0].Why, "failed: "+account+";") {
			t.Errorf("%s: want one verdict that names %s, got %v", ip, account, told)
		}
	}
}

// requireNamed demands one alert that names the account that many addresses try, two or three times
// each.
func (s *scoreboard) requireNamed(t *testing.T) {
	t.Helper()
	attackers := s.in("distributed_slow")
	if len(attackers) == 0 {
		return
	}
	account := s.tried(attackers)
	var told []ban.Change
	for _, v := range s.verdicts {
		if v.Kind == ban.KindAlert && strings.Contains(v.Reason, account) {
			told = append(told, v)
		}
	}
	if account == "" || len(told) != 1 {
		t.Errorf("want one alert that names %q, got %v", account, told)
	}
}

// requireQuiet demands no verdict on an address that mistypes a password twice.
func (s *scoreboard) requireQuiet(t *testing.T) {
	t.Helper()
	for _, ip := range s.in("benign_typo") {
		if told := s.about(ip); len(told) > 0 {
			t.Errorf("%s mistyped a password, and got %v", ip, told)
		}
	}
}

// about returns the verdicts on an address.
func (s *scoreboard) about(ip netip.Addr) []ban.Change {
	var told []ban.Change
	for _, v := range s.verdicts {
		if v.Target.IsValid() && v.Target.Prefix().Contains(ip) {
			told = append(told, v)
		}
	}
	return told
}

// in returns the senders of a scenario.
func (s *scoreboard) in(scenario string) []netip.Addr {
	var all []netip.Addr
	for ip, from := range s.recorded.truth.Sources {
		if slices.Contains(from.Scenarios, scenario) {
			all = append(all, netip.MustParseAddr(ip))
		}
	}
	return all
}

// tried returns the account on which the addresses failed most.
func (s *scoreboard) tried(addresses []netip.Addr) string {
	times := map[string]int{}
	most := ""
	for _, ip := range addresses {
		for _, one := range s.reference[ip] {
			if one.failure && one.account != "" {
				if times[one.account]++; times[one.account] > times[most] {
					most = one.account
				}
			}
		}
	}
	return most
}
