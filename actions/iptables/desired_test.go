package iptables

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestTimeout(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want uint32
	}{
		{time.Second, 1}, {time.Second + 1, 2}, {1, 1}, {0, 1}, {-time.Hour, 1}, {time.Hour, 3600},
		{maxTimeout * time.Second, maxTimeout}, {365 * 24 * time.Hour, maxTimeout},
	} {
		if got := endOf(noon.Add(c.left)).timeout(noon); got != c.want {
			t.Errorf("%v left: %d s, want %d", c.left, got, c.want)
		}
	}
	if got := endOf(time.Time{}).timeout(noon); got != 0 {
		t.Errorf("permanent: %d", got)
	}
}

func TestCoalesce(t *testing.T) {
	hour := noon.Add(time.Hour)
	last, gone, err := coalesce(ban.Batch{Now: noon, Changes: []ban.Change{
		banned("192.0.2.1/32", hour), lifted("192.0.2.1/32"), banned("192.0.2.1/32", hour.Add(1)),
		banned("192.0.2.2/32", hour), lifted("192.0.2.2/32"),
		banned("192.0.2.3/32", noon), // over when the batch was made
		banned("192.0.2.4/32", time.Time{}),
		banned("0.0.0.0/0", hour), banned("192.0.2.9/24", hour), banned("::ffff:192.0.2.1/128", hour), {Kind: ban.Banned},
	}})
	if want := map[netip.Prefix]end{
		netip.MustParsePrefix("192.0.2.1/32"): endOf(hour.Add(1)), netip.MustParsePrefix("192.0.2.4/32"): forever,
	}; !maps.Equal(last, want) {
		t.Errorf("%v", last)
	}
	if len(gone) != 2 || !gone[netip.MustParsePrefix("192.0.2.3/32")] {
		t.Errorf("%v", gone)
	}
	for _, words := range []string{"0.0.0.0/0 covers everybody", "bits behind its mask", "IPv6 clothing", "not a network"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v lacks %q", err, words)
		}
	}
}

func TestFoldingText(t *testing.T) {
	for s, want := range map[string][2]int{"": {}, "24": {24, 0}, "24,48": {24, 48}, "16, 64": {16, 64}} {
		if f, err := parseFolding(s); err != nil || f.bits4 != want[0] || f.bits6 != want[1] {
			t.Errorf("%q: %+v, %v", s, f, err)
		}
	}
	for _, s := range []string{"x", "0", "32", "24,", "24,200", ",64"} {
		if f, err := parseFolding(s); err == nil {
			t.Errorf("%q: %+v", s, f)
		}
	}
}

// TestDesiredAgreesWithModel lets random batches of changes act on an image of
// the kernel, entry by entry, and compares it with what the bans amount to.
func TestDesiredAgreesWithModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, f := range []folding{{}, {bits4: 24}, {bits4: 30, bits6: 64, spared: []netip.Prefix{netip.MustParsePrefix("203.0.113.4/32")}}} {
		d := newDesired(f)
		kernel := map[netip.Prefix]end{}
		model := map[netip.Prefix]end{}
		for range 3000 {
			last, gone := map[netip.Prefix]end{}, map[netip.Prefix]bool{}
			for range r.IntN(4) {
				p := randomTarget(r)
				delete(last, p)
				delete(gone, p)
				if r.IntN(2) == 0 {
					last[p] = end(1 + r.IntN(5))
					model[p] = last[p]
				} else {
					gone[p] = true
					delete(model, p)
				}
			}
			puts, drops := d.apply(last, gone)
			for _, p := range puts {
				if _, there := kernel[p.target]; there == p.fresh {
					t.Fatalf("%v: fresh is %v", p.target, p.fresh)
				}
				kernel[p.target] = p.end
			}
			for _, p := range drops {
				if _, there := kernel[p]; !there {
					t.Fatalf("%v dropped and was not there", p)
				}
				delete(kernel, p)
			}
			all := maps.Clone(d.entries(ipv4))
			maps.Copy(all, d.entries(ipv6))
			if !maps.Equal(kernel, all) {
				t.Fatalf("folding %+v: the kernel has %v, the bans amount to %v", f, kernel, all)
			}
			covers(t, f, model, kernel)
		}
	}
}

func randomTarget(r *rand.Rand) netip.Prefix {
	if r.IntN(4) == 0 {
		a := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(r.IntN(2)), 15: byte(r.IntN(3))})
		return netip.PrefixFrom(a, []int{128, 64}[r.IntN(2)]).Masked()
	}
	a := netip.AddrFrom4([4]byte{203, 0, byte(113 + r.IntN(2)), byte(r.IntN(8))})
	return netip.PrefixFrom(a, []int{32, 32, 32, 24}[r.IntN(4)]).Masked()
}

// covers checks that every ban is inside of an entry that lasts as long, and
// that no entry covers a spared network that was not banned itself.
func covers(t *testing.T, f folding, bans, entries map[netip.Prefix]end) {
	t.Helper()
	for p, e := range bans {
		within := func(entry netip.Prefix) bool {
			return entry.Bits() <= p.Bits() && entry.Contains(p.Addr()) && entries[entry] >= e
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(entries)), within) {
			t.Fatalf("%v until %d is not covered by %v", p, e, entries)
		}
	}
	for entry := range entries {
		_, ordered := bans[entry]
		for _, s := range f.spared {
			if !ordered && entry.Overlaps(s) {
				t.Fatalf("%v covers %v, which is spared", entry, s)
			}
		}
	}
}

func TestReplaceForgetsAndRemembers(t *testing.T) {
	d := newDesired(folding{})
	all := func(netip.Prefix) bool { return true }
	bans := []ban.Ban{banOf("192.0.2.1/32", noon.Add(time.Minute)), banOf("192.0.2.2/32", time.Time{}), banOf("2001:db8::/64", noon)}
	if err := d.replace(slices.Values(bans), all, noon); err != nil || d.size() != 2 {
		t.Fatal(d.bans, err)
	}
	if err := d.replace(slices.Values(bans[1:2]), all, noon.Add(time.Minute)); err != nil || d.size() != 1 {
		t.Fatal(d.bans, err)
	}
	if !d.lapsed[netip.MustParsePrefix("192.0.2.1/32")] {
		t.Error("a ban whose end has come is no surplus")
	}
}

func TestEndAgrees(t *testing.T) {
	for _, c := range []struct {
		want, have uint32
		agrees     bool
	}{
		{0, 0, true}, {0, 5, false}, {5, 0, false}, {60, 60, true}, {60, 58, true}, {60, 62, true}, {60, 57, false}, {60, 63, false},
		{maxTimeout, maxTimeout, true}, {maxTimeout, maxTimeout / 2, true}, {maxTimeout, maxTimeout/2 - 1, false},
	} {
		if got := endAgrees(c.want, c.have); got != c.agrees {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestRoomy(t *testing.T) {
	for _, c := range []struct {
		n     int
		least uint32
		want  uint32
	}{{0, 64, 64}, {0, 131072, 131072}, {65536, 131072, 131072}, {65537, 131072, 262144}, {1 << 30, 64, maxEntries}} {
		if got := roomy(c.n, c.least); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	if crowded(96, 128) || !crowded(97, 128) {
		t.Error("three quarters of 128 are 96")
	}
}

func TestBrake(t *testing.T) {
	var b brake
	now := noon
	for range moveBurst {
		if !b.allows(now) {
			t.Fatal("braked too soon")
		}
		b.moved(now)
		now = now.Add(time.Second)
	}
	if b.allows(now) || !b.allows(now.Add(moveEvery)) {
		t.Error("after a burst, one move every five minutes")
	}
	if b.allows(now.Add(moveEvery)); len(b.moves) != moveBurst {
		t.Error(len(b.moves))
	}
	if !b.allows(now.Add(2 * time.Hour)) {
		t.Error("an hour without a move ends it")
	}
}

func TestChoose(t *testing.T) {
	a := parse(t, "ipset_above = 100")
	for _, c := range []struct {
		backend string
		n       int
		resync  bool
		want    string
	}{
		{"", 100, true, backendRules}, {"", 101, true, backendSet},
		{backendRules, 100, false, backendRules}, {backendRules, 101, false, backendSet},
		{backendSet, 75, true, backendSet}, {backendSet, 74, true, backendRules}, {backendSet, 1, false, backendSet},
	} {
		a.backend = c.backend
		if got := a.choose(c.n, c.resync); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestApplyBeforeResync(t *testing.T) {
	if err := parse(t, "").Apply(t.Context(), ban.Batch{}); err == nil {
		t.Error("a change before the first resync would lift everything else")
	}
}
