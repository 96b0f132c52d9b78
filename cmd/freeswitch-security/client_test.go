package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestBanLifeByHand blocks, shows, lists and unblocks.
func TestBanLifeByHand(t *testing.T) {
	g := guard(t)
	g.want(0, nil, "list")
	g.want(1, []string{"203.0.113.7: not banned\n", "trusted  no"}, "show", "203.0.113.7")
	g.want(0, []string{"203.0.113.7  banned until 20", " UTC\n2001:db8::/64  banned until 20"}, "block", "203.0.113.7", "2001:db8::/64", "--for", "2h", "--reason", "calls at night")
	g.wall.stop("203.0.113.7", 42)
	g.want(0, []string{"203.0.113.7: banned for another 1h59m, by api root: calls at night\n", "(in 1h59m", "yes, 42 packets"}, "show", "203.0.113.7")
	g.want(0, []string{"target    2001:db8::/64"}, "show", "2001:db8::7")
	shown := g.want(0, []string{"TARGET", "PACKETS", "2001:db8::/64"}, "list")
	if row := strings.Fields(strings.Split(shown, "\n")[1]); row[0] != "203.0.113.7" || !slices.Contains(row, "42") {
		t.Errorf("listed as %q", row)
	}
	g.want(0, []string{"203.0.113.7  unbanned; rules do not ban it until ", "192.0.2.9  was not banned; rules do not ban it until "}, "unban", "203.0.113.7", "192.0.2.9", "--grace", "1h")
	g.want(0, []string{"203.0.113.7  banned"}, "ban", "203.0.113.7") // the grace was one from rules
	g.want(0, nil, "unblock", "203.0.113.7")
	g.want(0, []string{"unbanned: ended bans: 2001:db8::/64"}, "unban", "2001:db8::7")
	g.want(1, []string{"not banned"}, "show", "203.0.113.7")
	g.want(0, []string{"203.0.113.8  banned permanently\n"}, "ban", "--permanent", "203.0.113.8")
	g.want(0, []string{`{"target":"203.0.113.8","status":"success","applied":true}`}, "ban", "--permanent", "203.0.113.8", "--json")
	g.want(0, []string{"until     permanent"}, "show", "203.0.113.8")
	g.want(0, []string{"203.0.113.9  banned"}, "ban", "203.0.113.9", "--here")
	g.want(0, []string{" (only here)"}, "show", "203.0.113.9")
	g.want(0, []string{"203.0.113.9  unbanned"}, "unban", "203.0.113.9", "--here")
	g.want(0, []string{"192.0.2.77  trusted"}, "trust", "192.0.2.77", "--here")
	g.want(0, []string{"untrusted"}, "untrust", "192.0.2.77", "--here")
}

// TestEndpointsByHand bans endpoints, finds them by their address, and ends their bans with it.
func TestEndpointsByHand(t *testing.T) {
	g := guard(t)
	g.want(0, []string{"203.0.113.7:5060/udp  banned until ", "\n[2001:db8::7]:5061/tcp  banned until "}, "ban", "203.0.113.7:5060/udp", "[2001:db8::7]:5061/tcp")
	g.want(0, []string{"203.0.113.7:5060/udp: banned", "in force  yes"}, "show", "203.0.113.7:5060/udp")
	g.want(1, []string{"203.0.113.7: not banned; 1 of its endpoints are, such as 203.0.113.7:5060/udp"}, "show", "203.0.113.7")
	g.want(1, []string{"203.0.113.7:5061/udp: not banned\n"}, "show", "203.0.113.7:5061/udp")
	g.want(0, []string{"\n203.0.113.7:5060/udp ", "\n[2001:db8::7]:5061/tcp "}, "list")
	g.want(0, []string{"203.0.113.7  banned until "}, "ban", "203.0.113.7")
	g.want(0, []string{"203.0.113.7  unbanned: ended bans: 203.0.113.7 203.0.113.7:5060/udp\n"}, "unban", "203.0.113.7")
	g.want(0, []string{"unbanned: ended bans: [2001:db8::7]:5061/tcp\n"}, "unban", "2001:db8::/64")
	g.want(1, []string{"refused: ip: 203.0.113.7:5060/udp is an endpoint: trust its address"}, "trust", "203.0.113.7:5060/udp")
}

// TestRefusedByHand: what is refused does not hold up the rest, and is answered
// in its place.
func TestRefusedByHand(t *testing.T) {
	g := guard(t)
	stdout, stderr, exit := g.piped("203.0.113.2 # two\n\n; none\n198.51.100.7\n", "ban", "203.0.113.1", "-", "nonsense\x1b[31m", "0.0.0.0/0", "203.0.113.3")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for i, want := range []string{
		"203.0.113.1  banned", "203.0.113.2  banned", "198.51.100.7  not banned: trusted", `nonsense [31m  refused: `, "0.0.0.0/0  refused: ", "203.0.113.3  banned",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is not %q: %q", i, want, lines)
			break
		}
	}
	if exit != 1 || stderr != "" || !strings.Contains(stdout, "a.hcl:10") {
		t.Errorf("exit status %d, %s, %s", exit, stdout, stderr)
	}
	g.want(1, []string{"nonsense  refused", "203.0.113.1  unbanned"}, "unban", "nonsense", "203.0.113.1")
	g.want(2, []string{"--for and --permanent"}, "ban", "203.0.113.1", "--permanent", "--for", "1h")
	g.want(2, []string{`"soon" is not a duration`}, "ban", "203.0.113.1", "--for", "soon")
	g.want(2, []string{"needs at least one TARGET"}, "ban")
	g.want(2, []string{"only once"}, "ban", "-", "-")
	g.want(2, []string{"no address on standard input"}, "ban", "-")
	g.want(2, []string{"neither an address nor a network"}, "show", "nonsense")
	results := decoded[status.Result](t, g.want(1, nil, "ban", "--json", "198.51.100.7", "203.0.113.9"))
	if len(results) != 2 || results[0].Error == "" || results[1].Error != "" || !results[1].Applied {
		t.Errorf("%+v", results)
	}
	g.wall.breaks(errors.New("action wall.drop: \x1b[2J exit status 4"))
	g.want(0, []string{"203.0.113.10  banned until ", " UTC, but not applied yet: "}, "ban", "203.0.113.10")
}

func TestTrustByHand(t *testing.T) {
	g := guard(t)
	g.want(0, []string{"203.0.113.7  banned"}, "ban", "203.0.113.7")
	g.want(0, []string{"203.0.113.0/24  trusted until ", "; ended bans: 203.0.113.7\n"}, "trust", "203.0.113.0/24", "--for", "7d", "--comment", "new trunk")
	g.want(1, []string{"not banned", "203.0.113.0/24", "new trunk", "trust ends"}, "show", "203.0.113.7")
	g.want(1, []string{"not banned: trusted: whitelist, new trunk"}, "ban", "203.0.113.7")
	g.want(0, []string{"203.0.113.0/24", "run time", "in 6d", "198.51.100.0/24", "carriers", "a.hcl:10", "SIP trunks"}, "list", "--trusted")
	g.want(2, []string{"--rule, --node and --sort are for bans"}, "list", "--trusted", "--rule", "password guessing")
	g.want(1, []string{"trusted", "198.51.100.0/24, by carriers", "a.hcl:10"}, "show", "198.51.100.7")
	g.want(1, []string{"198.51.100.7  "}, "untrust", "198.51.100.7")
	g.want(0, []string{"203.0.113.0/24  untrusted\n"}, "untrust", "203.0.113.0/24")
	g.want(0, []string{"203.0.113.7  banned"}, "ban", "203.0.113.7")
	if entries := decoded[status.Trusted](t, g.want(0, nil, "list", "--trusted", "--json")); !slices.ContainsFunc(entries, func(e status.Trusted) bool { return e.Name == "carriers" }) {
		t.Errorf("%+v", entries)
	}
}

// TestUnbanAll ends all bans, or those within a network. Without a terminal it needs --yes.
func TestUnbanAll(t *testing.T) {
	g := guard(t)
	banned := func() string {
		var all []string
		for _, b := range decoded[status.Ban](t, g.want(0, nil, "list", "--json")) {
			all = append(all, b.Target.String())
		}
		return strings.Join(all, " ")
	}
	g.want(0, nil, "ban", "203.0.112.0/24", "203.0.113.1", "203.0.113.2", "203.0.113.128/25", "203.0.113.9:5060/udp", "203.0.114.1", "2001:db8::/64", "203.0.0.0/16")
	g.want(0, []string{"203.0.113.0/24  unbanned: ended bans: 203.0.0.0/16 203.0.113.9:5060/udp\n"}, "unban", "203.0.113.0/24")
	g.want(0, []string{"203.0.113.0/24  was not banned; unban --all ends the bans of addresses in it\n"}, "unban", "203.0.113.0/24")
	g.want(0, []string{"203.0.115.0/24  was not banned\n"}, "unban", "203.0.115.0/24")
	g.want(1, []string{"no ban is ended: confirm it with --yes"}, "unban", "--all", "203.0.113.0/24")
	g.want(0, nil, "ban", "203.0.113.9:5060/udp")
	g.want(0, nil, "ban", "203.0.0.0/16")
	g.want(0, []string{"bans ended: 4; the ban of 203.0.0.0/16 around 203.0.113.0/24 stays\n"}, "unban", "--all", "--yes", "203.0.113.0/24")
	g.want(0, []string{"203.0.0.0/16  unbanned\n"}, "unban", "203.0.0.0/16")
	if got := banned(); got != "203.0.112.0/24 203.0.114.1 2001:db8::/64" {
		t.Errorf("banned: %s", got)
	}
	g.want(2, []string{"1000@pbx.example is neither an address nor a network"}, "unban", "--all", "--yes", "1000@pbx.example")
	g.want(2, []string{"203.0.113.9:5060/udp is neither an address nor a network"}, "unban", "--all", "--yes", "203.0.113.9:5060/udp")
	g.want(0, []string{`{"status":"success","message":"bans ended: 3; rules do not ban them until `, `,"unbanned":3,"applied":true}`}, "unban", "--all", "--yes", "--json", "--grace", "1h")
	g.attack("203.0.114.1", "1000", 3)
	if c := g.decided(); c.Banned() || !strings.Contains(c.Why, "grace") {
		t.Errorf("not in grace: %+v", c)
	}
	g.want(0, []string{"bans ended: 0\n"}, "unban", "--all", "--yes")
}

// TestConfirm: on a terminal, trust asks before it ends more than one ban, and unban --all always.
func TestConfirm(t *testing.T) {
	g := guard(t)
	g.want(0, nil, "ban", "203.0.113.1", "203.0.113.2", "203.0.113.128/25", "198.18.0.1")
	environ := map[string]string{"FREESWITCH_SECURITY_ADMIN": g.socket}
	for _, c := range []struct {
		typed, want string
		args        []string
	}{
		{"n\n", "3 bans will end. Trust it? [y/N] ", []string{"trust", "203.0.113.0/24"}},
		{"n\n", "2 bans will end. Trust it? [y/N] ", []string{"trust", "203.0.113.1", "203.0.113.2"}},
		{"n\n", "End 1 ban? [y/N] ", []string{"unban", "--all", "198.18.0.1"}},
		{"", "198.18.0.0/24  trusted until", []string{"trust", "198.18.0.0/24"}},
		{"\n", "End 3 bans? [y/N] freeswitch-security: no ban is ended: confirm it with --yes", []string{"unban", "--all"}},
		{"Yes\n", "End 3 bans? [y/N] bans ended: 3\r\n", []string{"unban", "--all", "203.0.113.0/24"}},
	} {
		if shown := typedOn(t, environ, c.typed, c.args...); !strings.Contains(shown, c.want) {
			t.Errorf("%q lacks %q: %q", c.args, c.want, shown)
		}
	}
	g.want(0, nil, "ban", "203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4")
	if shown := typedOn(t, environ, "y\n", "trust", "203.0.113.0/24"); !strings.Contains(shown, "; ended 4 bans\r\n") {
		t.Errorf("shown: %q", shown)
	}
}

// TestReload: mistakes are shown and keep the old rules, warnings are shown.
func TestReload(t *testing.T) {
	g := guard(t)
	g.want(0, []string{"The rules run now.\n"}, "reload", "--reason", "quarterly")
	file := filepath.Join(g.rules, "b.hcl")
	rewrite := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("trusted \"all\" {\n  networks = [\"0.0.0.0/0\"]\n}\n")
	g.want(0, []string{"Warning: All addresses are trusted\n  " + file + ":2:15\n0.0.0.0/0 contains", "The rules run now, with 1 warning.\n"}, "reload")
	rewrite("rule \"half\x1b\" {}\n")
	shown := g.want(1, []string{"Error: ", file + ":1:", "the old rules stay: "}, "reload")
	if strings.Contains(shown, "run now") || strings.Contains(shown, "\x1b") {
		t.Errorf("shown: %q", shown)
	}
}

// TestRuleBan: what a rule did is shown with its evidence, and nothing of it
// reaches the terminal unescaped.
func TestRuleBan(t *testing.T) {
	g := guard(t)
	g.attack("203.0.113.7", "a\x1b[2J\u202eb", 3)
	g.decided()
	g.attack("203.0.113.8", "1000", 2)
	g.settle()
	shown := g.want(0, []string{
		"password guessing", "rule (log.freeswitch)", `a\x1b[2J\u202eb@pbx.example`, "auth_failure", "offence",
	}, "show", "203.0.113.7")
	shown += g.want(0, []string{"password guessing", "in 1h59m"}, "list", "--rule", "password guessing", "--sort", "packets")
	shown += g.want(0, nil, "list", "--json")
	shown += g.want(0, []string{"203.0.113.7"}, "status")
	if strings.ContainsAny(shown, "\x1b\u202e") {
		t.Errorf("unescaped: %q", shown)
	}
	if shown := g.want(0, nil, "list", "--rule", "another"); shown != "no bans of rule \"another\"\n" {
		t.Errorf("listed: %s", shown)
	}
	// The second attacker is on his way to be caught.
	for shown := ""; !strings.Contains(shown, "2 of 3"); {
		shown, _ = g.do("show", "203.0.113.8")
	}
	if top := g.want(0, []string{"2 of 3"}, "top", "--once"); !strings.Contains(top, "KEY") {
		t.Errorf("top: %s", top)
	}
	g.want(0, nil, "ban", "203.0.113.8")
	if top := g.want(0, []string{"no key is close to a threshold"}, "top", "--once"); strings.Contains(top, "2 of 3") {
		t.Errorf("top shows a banned address: %s", top)
	}
}

func TestTop(t *testing.T) {
	g := guard(t)
	g.want(0, []string{"no key is close to a threshold\n\nno ban has dropped a packet\n"}, "top") // which ends, for want of a terminal
	g.want(0, []string{"no bans\n"}, "list")
	g.want(0, []string{"Last bans:\nnone\n"}, "status")
	g.want(0, nil, "ban", "203.0.113.7", "203.0.113.8", "203.0.113.9", "--reason", "by hand")
	g.wall.stop("203.0.113.8", 100)
	g.wall.stop("203.0.113.9", 7)
	g.settle() // what was read of the wall before is outdated
	shown := g.want(0, []string{"3 bans", "by hand"}, "top", "--once", "--rows", "1")
	if strings.Contains(shown, "203.0.113.9") || !strings.Contains(shown, "203.0.113.8") {
		t.Errorf("not the busiest: %s", shown)
	}
}

// TestBusiest ranks by what was stopped since the picture before.
func TestBusiest(t *testing.T) {
	ip := func(n byte) ban.Target { return ban.Address(netip.AddrFrom4([4]byte{203, 0, 113, n})) }
	top := &topView{packets: map[ban.Target]uint64{ip(1): 1000, ip(2): 10, ip(4): 50}}
	got := top.busiest([]status.Entry{
		{Target: ip(1), Packets: 1000}, {Target: ip(2), Packets: 30}, {Target: ip(3), Packets: 5}, {Target: ip(4), Packets: 20}, {Target: ip(5)},
	}, 3, 2)
	want := []string{"203.0.113.2 10", "203.0.113.4 10", "203.0.113.1 0"}
	for i, b := range got {
		if s := fmt.Sprint(b.Target, " ", b.perSec); i >= len(want) || s != want[i] {
			t.Errorf("%d: %s, want %q", i, s, want)
		}
	}
}

// TestRoundTrip: what export writes, import bans elsewhere: the same targets, to
// the same end and for the same reason.
func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	from := guard(t)
	all := []string{"20.1.2.3", "20.1.2.0/24", "20.1.0.0/16"} // each in the next
	for range 297 {
		all = append(all, randomTarget(random))
	}
	listed := func(g *guarded) map[string]status.Ban {
		bans := map[string]status.Ban{}
		for _, b := range decoded[status.Ban](t, g.want(0, nil, "list", "--json")) {
			bans[b.Target.String()] = b
		}
		return bans
	}
	for i, how := range [][]string{{"--for", "90m", "--reason", `said "no", thrice; # é`}, {"--permanent"}, {"--reason", "-", "--for", "30d"}} {
		from.want(0, nil, append(append([]string{"ban"}, how...), all[i*100:i*100+100]...)...)
	}
	want := listed(from)
	for _, format := range []string{"json", "csv", "plain", "list"} {
		to := guard(t)
		args := []string{"export", "--format", format}
		if format == "list" {
			args = []string{"list", "--json"}
		}
		text := from.want(0, nil, args...)
		stdout, stderr, status := to.piped(text, "import", "-")
		if status != 0 || stderr != "" || !strings.Contains(stdout, fmt.Sprintf("%d of %d banned", len(want), len(want))) {
			t.Fatalf("%s: exit status %d: %s%s", format, status, stdout, stderr)
		}
		got := listed(to)
		if len(got) != len(want) {
			t.Errorf("%s: %d bans, want %d", format, len(got), len(want))
		}
		for ip, w := range want {
			if g, ok := got[ip]; !ok || format != "plain" && !sameBan(g, w) {
				t.Errorf("%s: %s is banned as %+v, want %+v", format, ip, g, w)
			}
		}
	}
}

// TestImportOfTheSame: an import of bans in force changes nothing, however often it is
// made. What an entry asks for beyond that is done.
func TestImportOfTheSame(t *testing.T) {
	g := guard(t)
	g.attack("203.0.113.7", "1000", 3)
	g.decided()
	g.want(0, nil, "ban", "203.0.113.8", "--for", "1h", "--reason", "calls at night")
	g.want(0, nil, "ban", "203.0.113.9", "--permanent")
	ask := func() []status.Ban { return decoded[status.Ban](t, g.want(0, nil, "list", "--json")) }
	before := ask()
	for _, format := range []string{"json", "csv", "json"} {
		stdout, _, exit := g.piped(g.want(0, nil, "export", "--format", format), "import", "-")
		if exit != 0 || !strings.HasPrefix(stdout, "3 of 3 banned") {
			t.Errorf("%s: exit status %d: %s", format, exit, stdout)
		}
		if diff := cmp.Diff(before, ask(), cmpopts.IgnoreFields(status.Ban{}, "Applied"), cmpopts.EquateComparable(ban.Target{}, netip.Addr{})); diff != "" {
			t.Errorf("%s: -before +after:\n%s", format, diff)
		}
	}
	if before[0].Rule != "password guessing" {
		t.Fatalf("banned by %+v", before[0])
	}
	g.piped(`{"ip": "203.0.113.7", "permanent": true, "reason": "enough"}`, "import", "-")
	if got := ask()[0]; !got.Permanent || !strings.HasPrefix(got.Reason, "enough; ") {
		t.Errorf("%+v", got)
	}
}

func sameBan(a, b status.Ban) bool {
	if a.Reason != b.Reason || a.Until.IsZero() != b.Until.IsZero() {
		return false
	}
	return a.Until.Sub(b.Until).Abs() < time.Minute // an import takes its time
}

// randomTarget is an untrusted address or network.
func randomTarget(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		ip := netip.AddrFrom4([4]byte{20 + byte(r.IntN(80)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		return ban.Network(netip.PrefixFrom(ip, 16+r.IntN(17)).Masked()).String()
	}
	var ip [16]byte
	for i := range ip {
		ip[i] = byte(r.Uint32())
	}
	ip[0], ip[1] = 0x2a, 0x02
	return ban.Network(netip.PrefixFrom(netip.AddrFrom16(ip), 32+r.IntN(97)).Masked()).String()
}

// TestImportMany imports more than one batch, and tells of the first of those
// that are refused.
func TestImportMany(t *testing.T) {
	g := guard(t)
	var text strings.Builder
	const n = client.MaxBatch + 500
	for i := range n {
		fmt.Fprintf(&text, "20.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	for i := range 30 {
		fmt.Fprintf(&text, "198.51.100.%d\n", i)
	}
	text.WriteString("nonsense\n")
	path := write(t, "list.txt", []byte(text.String()))
	shown := g.want(1, []string{
		fmt.Sprintf("%d of %d banned, 0 over by now, 31 refused", n, n+31), "  nonsense  line 10531: ", "and 11 more",
	}, "import", path, "--for", "1h", "--reason", "feed")
	if strings.Count(shown, "198.51.100.") == 0 {
		t.Errorf("no target is named: %s", shown)
	}
	g.want(0, []string{"10500 in force"}, "status")
	if lines := strings.Count(g.want(0, nil, "list", "--limit", "1500"), "\n"); lines != 1501 {
		t.Errorf("%d lines", lines)
	}
	i := decoded[imported](t, g.want(1, nil, "import", path, "--json"))[0]
	if i.Banned != n || len(i.Refused) != 31 {
		t.Errorf("%d banned, %d refused", i.Banned, len(i.Refused))
	}
	g.want(2, []string{"no such file"}, "import", filepath.Join(t.TempDir(), "none"))
	g.want(2, []string{"is a directory"}, "import", t.TempDir())
	g.want(2, []string{"neither an array nor an object"}, "import", "--format", "json", write(t, "text.json", []byte("203.0.113.7\n")))
	g.want(2, []string{"--format is"}, "import", "--format", "hcl", path)
}

// TestStatus asks how a daemon is doing that is well, and one that is not.
func TestStatus(t *testing.T) {
	g := guard(t)
	g.want(0, []string{"freeswitch-security 1.2.3, up ", ": ok", "source log.freeswitch  running", "action wall.drop", "in chain WALL"}, "status")
	g.want(0, []string{"FREESWITCH-SECURITY OK - 0 bans, 1 source, lag 0s | bans=0;;;0 ", "lag=0.000s;10;60;0"}, "status", "--nagios")
	h := decoded[health](t, g.want(0, nil, "status", "--json"))[0]
	if h.Status.Version != "1.2.3" || len(h.Sources) != 1 || h.Kernel.Action != "wall.drop" {
		t.Errorf("%+v", h)
	}
	g.wall.breaks(errors.New("chain | gone\x1b[31m"))
	g.want(0, nil, "ban", "203.0.113.7") // which the wall does not take
	g.want(1, []string{": critical", `chain | gone\x1b[31m`}, "status")
	shown := g.want(2, []string{"FREESWITCH-SECURITY CRITICAL - ", "chain / gone"}, "status", "--nagios")
	if strings.Count(shown, "|") != 1 || strings.Count(shown, "\n") != 1 {
		t.Errorf("no plugin's line: %q", shown)
	}
}

// TestSourceLine: a source that cannot be read is not said to read.
func TestSourceLine(t *testing.T) {
	for want, s := range map[string]status.Source{
		"running, ": {Running: true}, "cannot be read, ": {Running: true, Fault: "no such file"}, "not running, ": {Fault: "gone"},
	} {
		if got := sourceLine(&s, time.Now()); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestActionLine: who tells others is judged by what has reached them.
func TestActionLine(t *testing.T) {
	now := time.Now()
	since := now.Add(-5 * time.Minute)
	for want, a := range map[string]status.Action{
		"in force, last change never, drift repaired: 2 (jump from INPUT was gone)": {Synced: true, Drift: status.Drift{Count: 2, Notes: []string{"jump from INPUT was gone"}}},
		"12 delivered": {Synced: true, Report: status.Report{Delivery: &status.Delivery{Delivered: 12}}},
		"12 delivered, 3 waiting, the oldest of 5m ago, failed attempts: 1, 7 dropped": {Synced: true, Report: status.Report{
			Delivery: &status.Delivery{Delivered: 12, Waiting: 3, Since: since, Failed: 1, Dropped: 7},
		}},
		"failed 1 time, last change never": {Error: "gone", Failures: 1, Report: status.Report{Delivery: &status.Delivery{}}},
	} {
		if got := actionLine(&a, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestNobodyAnswers: every verb says why it could not be done, and does not try
// for long.
func TestNobodyAnswers(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.sock")
	for _, args := range [][]string{
		{"status"}, {"list"}, {"show", "203.0.113.7"}, {"ban", "203.0.113.7"}, {"unban", "203.0.113.7"}, {"trust", "203.0.113.7"},
		{"untrust", "203.0.113.7"}, {"reload"}, {"unban", "--all", "--yes"}, {"import", write(t, "l", []byte("203.0.113.7\n"))}, {"export"}, {"watch"}, {"top"},
	} {
		stdout, stderr, status := command(t, nil, append(args, "--admin", none)...)
		if status != 2 || args[0] != "import" && stdout != "" || !strings.Contains(stderr, "none.sock: the daemon is not running") {
			t.Errorf("%s: exit status %d: %s%s", args[0], status, stdout, stderr)
		}
	}
	stdout, stderr, status := command(t, nil, "status", "--nagios", "--admin", none)
	if status != 2 || !strings.HasPrefix(stdout, "FREESWITCH-SECURITY CRITICAL - there is no socket") || stderr != "" {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	stdout, _, status = command(t, nil, "status", "--nagios", "--admin", "http://")
	if status != 3 || !strings.HasPrefix(stdout, "FREESWITCH-SECURITY UNKNOWN - ") {
		t.Errorf("exit status %d: %s", status, stdout)
	}
	_, stderr, status = command(t, nil, "status", "--token-file", filepath.Join(t.TempDir(), "none"))
	if status != 2 || !strings.Contains(stderr, "no such file") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

// TestCompletion writes what shells need, and completes addresses.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		stdout, stderr, status := command(t, nil, "completion", shell)
		if status != 0 || stderr != "" || !strings.Contains(stdout, "freeswitch-security") {
			t.Errorf("%s: exit status %d: %s", shell, status, stderr)
		}
	}
	if _, stderr, status := command(t, nil, "completion", "tcsh"); status != exitTrouble || !strings.Contains(stderr, "bash, fish, powershell, zsh") {
		t.Errorf("an unknown shell: exit status %d: %s", status, stderr)
	}
	g := guard(t)
	g.want(0, nil, "ban", "203.0.113.7", "203.0.114.7", "2001:db8::/64")
	g.want(0, nil, "trust", "192.0.2.0/24", "--comment", "new trunk")
	for _, c := range []struct{ args, want string }{
		{"unban 203.0.113", "203.0.113.7"}, {"unban 203.0.113.7 2", "203.0.114.7"}, {"show 2001", "2001:db8::/64"},
		{"untrust ", "192.0.2.0/24\tnew trunk"}, {"list --rule pass", "password guessing"}, {"list --sort pa", "packets"},
	} {
		args := append([]string{"__complete"}, strings.Split(c.args, " ")...)
		if shown, _ := g.do(args...); !strings.Contains(shown, c.want+"\n") || !strings.Contains(shown, "NoFileComp") {
			t.Errorf("%s: %s", c.args, shown)
		}
	}
	if shown, _ := g.do("__complete", "unban", "203.0.113"); strings.Contains(shown, "203.0.114") {
		t.Errorf("offered: %s", shown)
	}
	os.Remove(g.socket)
	if shown, _ := g.do("__complete", "unban", ""); strings.Contains(shown, "203") {
		t.Errorf("offered: %s", shown)
	}
}

// TestVerbsOnATerminal wants colours where they are wanted, rows cut at the edge,
// and pictures that are drawn over one another.
func TestVerbsOnATerminal(t *testing.T) {
	g := guard(t)
	g.want(0, nil, "ban", "203.0.113.7", "--reason", strings.Repeat("long ", 50))
	g.wall.stop("203.0.113.7", 3)
	g.settle()
	environ := map[string]string{"FREESWITCH_SECURITY_ADMIN": g.socket}
	if shown := shownOn(t, environ, "status"); !strings.Contains(shown, "\x1b[1;32mok\x1b[0m") {
		t.Errorf("no colour: %q", shown)
	}
	shown := shownOn(t, environ, "top", "--once")
	if !strings.HasPrefix(shown, "\x1b[H") || !strings.HasSuffix(shown, "\x1b[J") || strings.Count(shown, "\n") > 24 {
		t.Errorf("top shows %q", shown)
	}
	for _, verb := range []string{"list", "top"} {
		if shown := shownOn(t, environ, verb, map[string]string{"list": "--limit=1", "top": "--once"}[verb]); !strings.Contains(shown, "\x1b[1m") {
			t.Errorf("no colour: %q", shown)
		}
	}
	environ["NO_COLOR"] = "1"
	shown = shownOn(t, environ, "status")
	if strings.Contains(shown, "\x1b") {
		t.Errorf("colour, though NO_COLOR is set: %q", shown)
	}
	for line := range strings.Lines(shownOn(t, environ, "list")) {
		if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if shown := shownOn(t, environ, "show", "203.0.113.7"); !strings.Contains(shown, strings.Repeat("long ", 49)) {
		t.Errorf("the reason is cut: %s", shown)
	}
}

// TestListOfNode lists what one node of a fleet has decided.
func TestListOfNode(t *testing.T) {
	guard(t).want(2, []string{"this one is in none"}, "list", "--node", "sbc1")
	g := guardWith(t, `
fleet {
  servers = ["nats://127.0.0.1:1"]
  node    = "sbc1"
}
`)
	g.want(0, nil, "ban", "203.0.113.7")
	order := ban.Order{Target: ban.Address(netip.MustParseAddr("203.0.113.8")), Rule: "password guessing", Author: "peer sbc2", At: time.Now(), Terms: []ban.Term{ban.Permanent}}
	returned := order
	returned.Target, returned.Author = ban.Address(netip.MustParseAddr("203.0.113.9")), "peer sbc1"
	if _, err := g.engine.Ban(t.Context(), []ban.Order{order, returned}); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{"sbc1": "203.0.113.7 203.0.113.9", "sbc2": "203.0.113.8", "sbc3": ""} {
		var got []string
		for _, b := range decoded[status.Ban](t, g.want(0, nil, "list", "--json", "--node", node)) {
			got = append(got, b.Target.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("--node %s: %s, want %s", node, got, want)
		}
	}
	g.want(2, []string{"are for bans only"}, "list", "--trusted", "--node", "sbc1")
	g.want(1, []string{"fleet node sbc1", "no server, goes on by itself; 0 peers"}, "status")
}
