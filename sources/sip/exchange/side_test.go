package exchange

import "net/netip"

func named(prefixes ...string) (all []netip.Prefix) {
	for _, p := range prefixes {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func isLocal(addr string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return a.String() == addr }
}
