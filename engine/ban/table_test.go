package ban

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// crowd is a ledger of up to n bans, addresses and networks of both families, some
// within others.
func crowd(n int, random *rand.Rand) *Ledger {
	l := NewLedger(NewTrust(nil))
	for range n {
		a := netip.AddrFrom4([4]byte{20, byte(random.IntN(3)), byte(random.Uint32()), byte(random.Uint32())})
		bits := []int{8, 16, 23, 24, 31, 32, 32, 32, 32, 32}[random.IntN(10)]
		if random.IntN(4) == 0 {
			a = netip.AddrFrom16([16]byte{0x20, 0x01, 0xd, 0xb8, byte(random.IntN(2)), byte(random.Uint32()), 15: byte(random.Uint32())})
			bits = []int{16, 48, 64, 64, 64, 127, 128}[random.IntN(7)]
		}
		// By put, since Enter refuses what lies within another ban.
		l.put(&Ban{Target: Network(netip.PrefixFrom(a, bits).Masked()), Author: fmt.Sprint(l.Size())})
	}
	return l
}

// TestAfter compares pages with the list of all bans, after every ban and after targets
// that are not banned.
func TestAfter(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	l := crowd(500, random)
	for i := range 20 {
		l.put(&Ban{Target: Account(fmt.Sprint(1000+i), "pbx"), Author: fmt.Sprint(l.Size())})
		l.put(&Ban{Target: Endpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 0, 0, byte(i)}), 5060), UDP), Author: fmt.Sprint(l.Size())})
	}
	all := l.Bans()
	targets := []Target{{}, target("0.0.0.0/0"), target("255.255.255.255"), target("::/0"), target("::"), target("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}
	for i := range all {
		targets = append(targets, all[i].Target)
		if p, ok := all[i].Target.Network(); ok {
			around := netip.PrefixFrom(p.Addr(), random.IntN(p.Addr().BitLen()+1)).Masked()
			targets = append(targets, Network(around), Address(p.Addr().Next()))
		}
	}
	for _, p := range targets {
		want := slices.DeleteFunc(slices.Clone(all), func(b Ban) bool { return p.IsValid() && b.Target.Compare(p) <= 0 })
		for _, limit := range []int{1, 7, len(all)} {
			got := l.After(p, limit)
			if !slices.EqualFunc(got, want[:min(limit, len(want))], func(a, b Ban) bool { return a.Target == b.Target && a.Author == b.Author }) {
				t.Fatalf("seed %d: %d bans behind %s, want %d", seed, len(got), p, min(limit, len(want)))
			}
		}
	}
}

// BenchmarkAfter reads the last of many pages.
func BenchmarkAfter(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		l := NewLedger(NewTrust(nil))
		for i := range n {
			a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
			l.Enter(Order{Target: Address(a), Address: a, Rule: "r", At: t0, Terms: []Term{Term(time.Hour)}}, t0)
		}
		all := l.Bans()
		from := all[len(all)-1000].Target
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := l.After(from, 1000); len(got) != 999 {
					b.Fatalf("%d bans", len(got))
				}
			}
		})
	}
}
