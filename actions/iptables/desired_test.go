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
		if got := expiryOf(noon.Add(c.left)).timeout(noon); got != c.want {
			t.Errorf("%v left: %d s, want %d", c.left, got, c.want)
		}
	}
	if got := expiryOf(time.Time{}).timeout(noon); got != 0 {
		t.Errorf("permanent: %d", got)
	}
}

func TestCoalesce(t *testing.T) {
	hour := noon.Add(time.Hour)
	got, err := coalesce(ban.BatchOf(noon, []ban.Change{
		banned("192.0.2.1/32", hour), unban("192.0.2.1/32"), banned("192.0.2.1/32", hour.Add(1)),
		banned("192.0.2.2/32", hour), unban("192.0.2.2/32"),
		banned("192.0.2.3/32", noon), // it had expired when the batch was made
		banned("192.0.2.4/32", time.Time{}), banned("2001:db8::/64", hour),
		banned("0.0.0.0/0", hour), banned("192.0.2.9/24", hour), banned("::ffff:192.0.2.1/128", hour), {Kind: ban.KindBan},
	}...))
	want := [2]expiries{{
		keyOf(targetOf("192.0.2.1/32")): expiryOf(hour.Add(1)), keyOf(targetOf("192.0.2.2/32")): unbanned,
		keyOf(targetOf("192.0.2.3/32")): unbanned, keyOf(targetOf("192.0.2.4/32")): permanent,
	}, {keyOf(targetOf("2001:db8::/64")): expiryOf(hour)}}
	if !maps.Equal(got[ipv4], want[ipv4]) || !maps.Equal(got[ipv6], want[ipv6]) {
		t.Errorf("%v", got)
	}
	for _, words := range []string{"0.0.0.0/0 covers all addresses", "bits beyond its prefix length", "IPv4-mapped", "not a network"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v lacks %q", err, words)
		}
	}
}

func TestParseAggregate(t *testing.T) {
	for s, want := range map[string][2]int{"": {}, "24": {24, 0}, "24,48": {24, 48}, "16, 64": {16, 64}} {
		if bits, err := parseAggregate(s); err != nil || bits != want {
			t.Errorf("%q: %v, %v", s, bits, err)
		}
	}
	for _, s := range []string{"x", "0", "32", "24,", "24,200", ",64"} {
		if bits, err := parseAggregate(s); err == nil {
			t.Errorf("%q: %v", s, bits)
		}
	}
}

// TestDesiredAgreesWithModel applies random changes to an image of the kernel, entry by
// entry, and compares it with the entries of all bans.
func TestDesiredAgreesWithModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, g := range []aggregation{{}, {bits: 24}, {bits: 30, trusted: trusted}, {bits: 64}} {
		d := newDesired(g)
		kernel, model := expiries{}, expiries{}
		for range 1000 {
			changes := expiries{}
			for range r.IntN(4) {
				p := randomTarget(r)
				if familyOf(p) != ipv4 != (g.bits == 64) {
					continue // a desired is of one family
				}
				k := keyOf(p)
				if k.target() != p {
					t.Fatalf("%s becomes %s", p, k.target())
				}
				if changes[k] = unbanned; r.IntN(2) == 0 {
					changes[k] = expiry(1 + r.IntN(5))
					model[k] = changes[k]
				} else {
					delete(model, k)
				}
			}
			w := d.apply(changes)
			for _, u := range w.upserts {
				if _, exists := kernel.get(u.target); exists == u.added {
					t.Fatalf("%v: added is %v", u.target, u.added)
				}
				kernel.put(u.target, u.expiry)
			}
			for _, p := range w.removals {
				if _, exists := kernel.get(p); !exists {
					t.Fatalf("%v is removed and did not exist", p)
				}
				delete(kernel, keyOf(p))
			}
			if !maps.Equal(kernel, d.entries()) {
				t.Fatalf("aggregation %+v: the kernel has %v, the entries are %v", g, kernel, d.entries())
			}
			covers(t, g.trusted, model, kernel)
		}
	}
}

func randomTarget(r *rand.Rand) ban.Target {
	a := netip.AddrFrom4([4]byte{203, 0, byte(113 + r.IntN(2)), byte(r.IntN(8))})
	p := netip.PrefixFrom(a, []int{32, 32, 32, 24}[r.IntN(4)])
	if r.IntN(4) == 0 {
		a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(r.IntN(2)), 15: byte(r.IntN(3))})
		p = netip.PrefixFrom(a, []int{128, 64}[r.IntN(2)])
	}
	if r.IntN(4) == 0 {
		return ban.Endpoint(netip.AddrPortFrom(a, uint16(5060+r.IntN(2))), []ban.Protocol{ban.TCP, ban.UDP}[r.IntN(2)])
	}
	return ban.Network(p.Masked())
}

// covers checks that every ban is covered by an entry that lasts as long, and that no
// entry covers a trusted network that was not banned itself.
func covers(t *testing.T, trusted []netip.Prefix, bans, entries expiries) {
	t.Helper()
	for banned, e := range bans.all() {
		p, isNetwork := banned.Network()
		covered := func(k key) bool {
			entry := k.target()
			around, _ := entry.Network()
			return (entry == banned || isNetwork && around.Contains(p.Addr()) && around.Bits() <= p.Bits()) && entries[k] >= e
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(entries)), covered) {
			t.Fatalf("%v until %d is not covered by %v", banned, e, entries)
		}
	}
	for entry := range entries.all() {
		_, ordered := bans.get(entry)
		if !ordered && slices.ContainsFunc(trusted, entry.Prefix().Overlaps) {
			t.Fatalf("%v covers a trusted network", entry)
		}
	}
}

func TestTimeoutAgrees(t *testing.T) {
	for _, c := range []struct {
		want, have uint32
		agrees     bool
	}{
		{0, 0, true}, {0, 5, false}, {5, 0, false}, {60, 60, true}, {60, 58, true}, {60, 62, true}, {60, 57, false}, {60, 63, false},
		{maxTimeout, maxTimeout, true}, {maxTimeout, maxTimeout / 2, true}, {maxTimeout, maxTimeout/2 - 1, false},
	} {
		if got := timeoutAgrees(c.want, c.have); got != c.agrees {
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

func TestMovesAreLimited(t *testing.T) {
	moves := parse(t, "").moves
	now := noon
	for range moveBurst {
		if !moves.AllowN(now, 1) {
			t.Fatal("limited too early")
		}
	}
	if moves.TokensAt(now) >= 1 || moves.TokensAt(now.Add(moveEvery)) < 1 {
		t.Error("after a burst, one move every moveEvery")
	}
	if moves.TokensAt(now.Add(2*time.Hour)) < moveBurst {
		t.Error("two hours without a move do not allow a burst again")
	}
}

func TestChoose(t *testing.T) {
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
		a := parse(t, "ipset_above = 100")
		a.backend = c.backend
		for i := range c.n {
			p := ban.Address(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
			if i%2 == 1 {
				p = ban.Endpoint(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 5060), ban.UDP)
			}
			a.families[familyOf(p)].desired.bans.put(p, permanent)
		}
		if got := a.choose(c.resync); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestApplyBeforeResync(t *testing.T) {
	if err := parse(t, "").Apply(t.Context(), ban.Batch{}); err == nil {
		t.Error("a change before the first resync would unban everything else")
	}
}
