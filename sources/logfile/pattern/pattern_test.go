package pattern

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/event"
)

func mustCompile(t testing.TB, line string) Pattern {
	t.Helper()
	p, problems := Compile("x", line)
	if len(problems) > 0 {
		t.Fatalf("%q: %v", line, problems)
	}
	return p
}

func TestCompile(t *testing.T) {
	for _, test := range []struct {
		line  string
		lits  []string
		holes string
	}{
		{"Can't find user [<user>@<domain>] from <ip>", []string{"Can't find user [", "@", "] from ", ""}, "user domain ip"},
		{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 " + "NO CONTACT!", []string{"NO CONTACT!"}, ""},
		{"NO CONTACT!\n", []string{"NO CONTACT!"}, ""},
		{"(<method:REGISTER>) <ip>:<port> x", []string{"(REGISTER) ", " x"}, "ip"},
		{"[<ip>]:<port>", []string{"[", "]:", ""}, "ip port"},
		{"a < b > c <1000>->9196 <> <sip:1000@pbx> <sips:x> <tel:1>", []string{"a < b > c <1000>->9196 <> <sip:1000@pbx> <sips:x> <tel:1>"}, ""},
		{"To: <sip:<user>@<domain>>", []string{"To: <sip:", "@", ">"}, "user domain"},
		{"x<users", []string{"x<users"}, ""},
	} {
		p := mustCompile(t, test.line)
		var names []string
		for _, h := range p.holes {
			names = append(names, h.name)
		}
		if !slices.Equal(p.lits, test.lits) || strings.Join(names, " ") != test.holes {
			t.Errorf("%q: literals %q, holes %v", test.line, p.lits, names)
		}
	}
}

func TestCompileProblems(t *testing.T) {
	for _, test := range []struct {
		line string
		want []string // parts of the details
	}{
		{"x", nil},
		{"", []string{"must be fixed"}},
		{"<ip>", []string{"must be fixed"}},
		{"a\nb", []string{"first line of a message"}},
		{"<ip> <ip>", []string{"occurs twice"}},
		{"<user:a> <user>", []string{"occurs twice"}},
		{"x <user><domain>", []string{"where <user> ends and <domain> begins"}},
		{"x <level> <time>", []string{`"level" comes from`, `"time" comes from`}},
		{"x <usr> <domian>", []string{`Did you mean "user"?`, `Did you mean "domain"?`}},
		{"x <User>", []string{`Did you mean "user"?`}},
		{"x <ip:1.2.3.4>", []string{"always the same"}},
		{"x <user:>", []string{"sets \"user\" to nothing"}},
		{"x <realm> <my_field2>", nil},
		{"x <ip", []string{"Write <ip>"}},
		{"x <user at <ip>", []string{"Write <user>"}},
		{"x (<method:REGISTER) <ip>", []string{"Write <method>"}},
	} {
		_, problems := Compile("x", test.line)
		if len(problems) != len(test.want) {
			t.Errorf("%q: %v", test.line, problems)
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.Detail, test.want[i]) {
				t.Errorf("%q: %q, want %q in it", test.line, p.Detail, test.want[i])
			}
		}
	}
	var many strings.Builder
	for c := 'a'; c <= 'q'; c++ {
		fmt.Fprintf(&many, "<raw_%c> ", c)
	}
	if _, problems := Compile("x", many.String()); len(problems) != 1 || problems[0].Summary != "Too many holes" {
		t.Errorf("17 holes: %v", problems)
	}
}

// TestFill checks that a hole can set every field of an event that a message holds.
func TestFill(t *testing.T) {
	for _, name := range holeNames() {
		p := mustCompile(t, "x <"+name+">")
		value := map[string]string{"ip": "192.0.2.1", "port": "5060"}[name]
		if value == "" {
			value = "some " + name
		}
		var m Match
		msg := "x " + value
		if p.Match(msg, &m) != Matches {
			t.Fatalf("%q does not match", msg)
		}
		var e event.Event
		p.Fill(&e, &m, func(from, to int) string { return msg[from:to] })
		if got := event.FieldNamed(name).Get(&e); got != value || e.Fields != nil {
			t.Errorf("%s is %q", name, got)
		}
	}
	p := mustCompile(t, "<raw> x <user:a><method:INVITE>")
	var e event.Event
	p.Fill(&e, &Match{spans: [maxHoles]span{{0, 1}}}, func(from, to int) string { return "1" })
	if e.Fields["raw"] != "1" || e.User != "a" || e.Method != "INVITE" {
		t.Errorf("%+v", e)
	}
}

func TestMatch(t *testing.T) {
	const failure = "for [<user>@<domain>] from ip <ip>"
	const rejected = "IP <ip> Rejected"
	const invite = "<user> from <ip>:<port> version: <version> call-id: <call_id>"
	for _, test := range []struct {
		line, msg, want string // want is "" where there is no match
	}{
		{failure, "for [100@pbx] from ip 1.2.3.4", "1.2.3.4 user=100 domain=pbx"},
		{failure, "for [@pbx] from ip 1.2.3.4", "1.2.3.4 user= domain=pbx"},
		{failure, "for [100@] from ip 1.2.3.4", "1.2.3.4 user=100 domain="},
		{failure, "for [a]b@c] from ip 1.2.3.4", "1.2.3.4 user=a]b domain=c"},
		{failure, "for [10]0@pbx] from ip 1.2.3.4", "1.2.3.4 user=10]0 domain=pbx"},
		{failure, "for [x@y@z] from ip 1.2.3.4", "1.2.3.4 user=x@y domain=z"},
		{failure, "for [1000@[fd77::10]] from ip 2001:db8::5", "2001:db8::5 user=1000 domain=[fd77::10]"},
		{failure, "for [x]@[fd77::10]] from ip 2001:db8::5", "2001:db8::5 user=x] domain=[fd77::10]"},
		{failure, "for [x] from ip 8.8.8.8@pbx] from ip 1.2.3.4", "1.2.3.4 user=x] from ip 8.8.8.8 domain=pbx"},
		{failure, "for [x@y] from ip 8.8.8.8 [x@pbx] from ip 1.2.3.4", "1.2.3.4 user=x@y] from ip 8.8.8.8 [x domain=pbx"},
		{failure, "for [x@y] from ip ::ffff:1.2.3.4", "1.2.3.4 user=x domain=y"},
		{failure, "for [x@y] from ip fe80::1%eth0", "fe80::1 user=x domain=y"},
		{failure, "for [x@y] from ip 1.2.3.4:5060", "1.2.3.4 5060 user=x domain=y"},
		{failure, "for [x@y] from ip 1.2.3.4\r", ""},
		{failure, "for [x@y] from ip 1.2.3.4 ", ""},
		{failure, "for [x@y] from ip pbx.example.com", ""},
		{failure, "for [xy] from ip 1.2.3.4", ""},
		{failure, " for [x@y] from ip 1.2.3.4", ""},
		{rejected, "IP 1.2.3.4 Rejected", "1.2.3.4"},
		{rejected, "IP 1.2.3.4. Rejected", ""},
		{rejected, "IP ::ffff:203.0.113.65 Rejected", "203.0.113.65"},
		{invite, "1000 from 2001:db8:6c61:db40::d4a1:c138:60205 version: 1.11 64bit call-id: abc", "2001:db8:6c61:db40::d4a1:c138 60205 user=1000 version=1.11 64bit call_id=abc"},
		{invite, "1000 from [2001:db8::1]:5060 version: 1 call-id: abc", "2001:db8::1 5060 user=1000 version=1 call_id=abc"},
		{invite, "1000 from 1.2.3.4:5060 version: 1 call-id: x call-id: y", "1.2.3.4 5060 user=1000 version=1 call_id=x call-id: y"},
		{invite, "1000 from 1.2.3.4:5060 version: 1 call-id: x from 8.8.8.8:1 version: 1 call-id: y", "ambiguous"},
		{invite, "x from 8.8.8.8:1 version: 1 call-id: a from 1.2.3.4:5060 version: 1 call-id: b", "ambiguous"},
		{invite, "x from 1.2.3.4:1 version: 1 call-id: a from 1.2.3.4:5060 version: 1 call-id: b", "1.2.3.4 1 user=x version=1 call_id=a from 1.2.3.4:5060 version: 1 call-id: b"},
		{"a<ip>1", "a1.2.3.411", "1.2.3.41"},
		{"a<ip>1<user>", "a1.2.3.411", "ambiguous"},
		{"from <ip> port <port> x", "from 1.2.3.4 port 5060 x", "1.2.3.4 5060"},
		{"from <ip> port <port> x", "from 1.2.3.4 port 65536 x", ""},
		{"NO CONTACT!", "NO CONTACT!", "invalid IP"},
		{"NO CONTACT!", "NO CONTACT!!", ""},
		{"aa<user>aa", "aaa", ""},
		{"aa<user>aa", "aaaa", "invalid IP user="},
	} {
		p := mustCompile(t, test.line)
		var m Match
		v := p.Match(test.msg, &m)
		got := ""
		switch v {
		case Ambiguous:
			got = "ambiguous"
		case Matches:
			got = m.IP.String()
			if m.Port != 0 {
				got += fmt.Sprint(" ", m.Port)
			}
			for i, h := range p.holes {
				if h.kind == textHole {
					got += " " + h.name + "=" + test.msg[m.spans[i].from:m.spans[i].to]
				}
			}
		}
		if got != test.want {
			t.Errorf("%q\n of %q: %q\n     want %q", test.msg, test.line, got, test.want)
		}
	}
}

// readings returns the addresses of all ways in which a message can be divided among the
// holes, by trying all.
func readings(p *Pattern, msg string) map[netip.Addr]bool {
	found := map[netip.Addr]bool{}
	var try func(rest string, hole int, ip netip.Addr)
	try = func(rest string, hole int, ip netip.Addr) {
		rest, ok := strings.CutPrefix(rest, p.lits[hole])
		if !ok {
			return
		}
		if hole == len(p.holes) {
			if rest == "" {
				found[ip] = true
			}
			return
		}
		for n := 0; n <= len(rest); n++ {
			next := ip
			switch p.holes[hole].kind {
			case addrHole:
				next, _, ok = event.ParseAddr(rest[:n])
			case addrPortHole:
				next, _, ok = event.ParseAddrPort(rest[:n])
			}
			if ok {
				try(rest[n:], hole+1, next)
			}
		}
	}
	try(msg, 0, netip.Addr{})
	return found
}

// checkMatch compares match with readings.
func checkMatch(t *testing.T, p *Pattern, msg string) {
	t.Helper()
	var m Match
	v := p.Match(msg, &m)
	all := readings(p, msg)
	want := Differs
	switch len(all) {
	case 0:
	case 1:
		want = Matches
	default:
		want = Ambiguous
	}
	if v != want {
		t.Fatalf("pattern %q, message %q: verdict %d, want %d: it can be read with %v", p.Text, msg, v, want, all)
	}
	if v != Matches {
		return
	}
	if !all[m.IP] {
		t.Fatalf("pattern %q, message %q: address %v, want %v", p.Text, msg, m.IP, all)
	}
	whole := p.lits[0]
	for i := range p.holes {
		whole += msg[m.spans[i].from:m.spans[i].to] + p.lits[i+1]
	}
	if whole != msg {
		t.Fatalf("pattern %q, message %q: the spans %v make %q", p.Text, msg, m.spans[:len(p.holes)], whole)
	}
}

// TestMatchAllWays compares the linear matcher with one that tries everything.
func TestMatchAllWays(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	literal := func() string { return pick("a", "b", "ab", "aa", "aba", ":", "1", "a:", " ") }
	seen := map[Verdict]int{}
	for range 60_000 {
		line := pick("", literal())
		names := []string{"<user>", "<domain>", "<profile>", "<raw>", "<ip>", pick("<ip>:<port>", "<ip>")}
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		hasIP := false
		for _, name := range names[:1+random.IntN(4)] {
			if strings.HasPrefix(name, "<ip>") {
				if hasIP {
					continue
				}
				hasIP = true
			}
			line += name + literal()
		}
		line = strings.TrimSuffix(line, pick("", "a", "b"))
		p, problems := Compile("x", line)
		if len(problems) > 0 {
			continue
		}
		// Fill the holes with texts that look like the rest of the message, so that most
		// messages are of the pattern.
		msg := ""
		for i, lit := range p.lits {
			msg += lit
			for n := random.IntN(4); i < len(p.holes) && n > 0; n-- {
				msg += pick("a", "b", "1", ":", " ", "1.1.1.1", "::1", "2.2.2.2", "2.2.2.2:5", "a1.1.1.1b", lit, p.lits[i+1])
			}
		}
		if len(msg) > 40 {
			continue
		}
		checkMatch(t, &p, msg)
		seen[p.Match(msg, &Match{})]++
	}
	for _, v := range []Verdict{Differs, Matches, Ambiguous} {
		if seen[v] < 500 {
			t.Errorf("seed %d: verdict %d came only %d times", seed, v, seen[v])
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, line := range []string{
		"SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>",
		"sofia/<profile>/<user>@<domain> receiving invite from <ip>:<port> version: <version> call-id: <call_id>",
		"Can't find user [<user>@<domain>] from <ip>", "IP/Port <ip> <port> Rejected by acls", "NO CONTACT!",
	} {
		f.Add(line, strings.NewReplacer("<ip>", "1.2.3.4", "<port>", "5", "<", "", ">", "").Replace(line))
	}
	f.Fuzz(func(t *testing.T, line, msg string) {
		p, problems := Compile("x", line)
		if len(problems) > 0 || strings.Contains(msg, "\n") {
			return
		}
		hasPort := slices.ContainsFunc(p.holes, func(h hole) bool { return h.kind == portHole })
		if len(msg) < 60 && len(p.holes) < 5 && !hasPort && !strings.Contains(msg, "%") {
			checkMatch(t, &p, msg)
			return
		}
		p.Match(msg, &Match{})
	})
}

// TestMatchIsLinear takes minutes, and so fails, if a hard message takes more than
// linear time.
func TestMatchIsLinear(t *testing.T) {
	for _, line := range []string{"<user> from <ip>:<port> v <version> c <call_id>", "a<user>a<domain>a<ip>a<raw>a<profile>a"} {
		p := mustCompile(t, line)
		for _, piece := range []string{" from 1.2.3.4:5 v 1 c ", "a", "a1.1.1.1", " from ", "::", " from 1"} {
			p.Match(strings.Repeat(piece, 64<<10/len(piece)), &Match{})
		}
	}
}
