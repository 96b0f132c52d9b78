package exchange

import (
	"fmt"
	"net/netip"
	"testing"
)

func named(prefixes ...string) (all []netip.Prefix) {
	for _, p := range prefixes {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func isLocal(addr string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return a.String() == addr }
}

// A pair is so many packets between two addresses. A star stands for one of many addresses.
type pair struct {
	from, to string
	packets  int
}

func (p pair) each(f func(from, to netip.Addr)) {
	for i := range p.packets {
		at := func(text string) netip.Addr {
			if text == "*" {
				text = fmt.Sprintf("100.64.%d.%d", i>>8, i&255)
			}
			return netip.MustParseAddr(text)
		}
		f(at(p.from), at(p.to))
	}
}

func TestSide(t *testing.T) {
	const s, s2, v = "10.77.0.10", "10.77.0.11", "198.51.100.1"
	for _, test := range []struct {
		name   string
		o      Options
		before []pair
		last   pair
		want   direction
	}{
		{"named", Options{Switch: named("10.77.0.0/24")}, nil, pair{v, s, 1}, received},
		{"named, the other way", Options{Switch: named("10.77.0.0/24")}, nil, pair{s, v, 1}, sent},
		{"named, neither", Options{Switch: named("10.0.0.0/24")}, nil, pair{s, v, 1}, unknown},
		{"named, both", Options{Switch: named("10.77.0.0/24")}, nil, pair{s, s2, 1}, unknown},
		{"local", Options{Local: isLocal(s)}, []pair{{"*", v, 100}}, pair{s, v, 1}, sent},
		{"not local: learned", Options{Local: isLocal("127.0.0.1")}, []pair{{"*", s, 100}}, pair{s, v, 1}, sent},
		{"the first packet", Options{}, nil, pair{v, s, 1}, received},
		{"its answer", Options{}, []pair{{v, s, 1}}, pair{s, v, 1}, tied},
		{"the switch has more senders", Options{}, []pair{{s, v, 1}, {"*", s, 3}}, pair{s, v, 1}, sent},
		{"the switch has many", Options{}, []pair{{"*", s, 100}}, pair{v, s, 1}, received},
		{"forged senders add to the switch", Options{}, []pair{{v, s, 100}, {"*", s, 1000}}, pair{v, s, 1}, received},
		{"a scan of many addresses", Options{}, []pair{{"*", s, 20}, {v, "*", 100}}, pair{v, s, 1}, received},
		{"an attacker at two addresses of the switch, of which one is idle", Options{},
			[]pair{{"*", s, 20}, {v, s, 1}, {s, v, 1}, {v, s2, 1}, {s2, v, 1}}, pair{v, s2, 1}, tied},
		{"a switch that calls another", Options{}, []pair{{"*", s, 20}, {s2, s, 5}, {"*", s2, 100}}, pair{v, s2, 1}, received},
		{"two switches", Options{}, []pair{{"*", s, 20}, {"*", s2, 20}}, pair{s, s2, 1}, unknown},
		{"IPv6", Options{}, []pair{{"*", "2001:db8::10", 20}}, pair{"2001:db8:1::1", "2001:db8::10", 1}, received},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := New(test.o)
			for _, p := range test.before {
				p.each(func(from, to netip.Addr) { table.sides.of(from, to) })
			}
			test.last.each(func(from, to netip.Addr) {
				if got := table.sides.of(from, to); got != test.want {
					t.Errorf("direction %d, want %d", got, test.want)
				}
			})
		})
	}
}
