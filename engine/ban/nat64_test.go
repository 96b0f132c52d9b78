package ban

import (
	"net/netip"
	"testing"
)

func TestHostsOfTranslators(t *testing.T) {
	for _, test := range []struct{ site, addr, host, wider string }{
		{"", "203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"},
		{"", "2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"", "64:ff9b::198.51.100.3", "64:ff9b::c633:6403/128", "64:ff9b::c633:6400/120"},
		{"", "64:ff9b:1:2:3:4:198.51.100.3", "64:ff9b:1:2:3:4:c633:6403/128", "64:ff9b:1:2:3:4:c633:6400/120"},
		{"", "2002:c633:6403:5::6", "2002:c633:6403::/48", "2002:c633:6400::/40"},
		{"", "2001:0:53aa:64c:1234:5678:9abc:1", "2001:0:53aa:64c:1234:5678:9abc:1/128", "2001:0:53aa:64c:1234:5678:9abc:1/128"},
		// RFC 6052, section 2.4: 192.0.2.33 in prefixes of all lengths.
		{"2001:db8::/32", "2001:db8:c000:221::", "2001:db8:c000:221::/64", "2001:db8:c000:200::/56"},
		{"2001:db8:100::/40", "2001:db8:1c0:2:21::", "2001:db8:1c0:2:21::/80", "2001:db8:1c0:2::/64"},
		{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::", "2001:db8:122:c000:2:2100::/88", "2001:db8:122:c000:2::/80"},
		{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", "2001:db8:122:3c0:0:221::/96", "2001:db8:122:3c0:0:200::/88"},
		{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", "2001:db8:122:344:c0:2:2100:0/104", "2001:db8:122:344:c0:2::/96"},
		{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", "2001:db8:122:344::c000:221/128", "2001:db8:122:344::c000:200/120"},
		{"64:ff9b:1:fffe::/64", "64:ff9b:1:fffe:c0:2:2100::", "64:ff9b:1:fffe:c0:2:2100:0/104", "64:ff9b:1:fffe:c0:2::/96"},
	} {
		var site NAT64
		if test.site != "" {
			prefix, err := ParseNAT64(test.site)
			if err != nil {
				t.Fatal(err)
			}
			site = NAT64{prefix}
		}
		addr := netip.MustParseAddr(test.addr)
		if got := site.Host(addr).String(); got != test.host {
			t.Errorf("the host of %s is %s, want %s", test.addr, got, test.host)
		}
		if got := site.Around(addr, 24, 48).String(); got != test.wider {
			t.Errorf("the network of %s is %s, want %s", test.addr, got, test.wider)
		}
		if got := site.Around(addr, 32, 128); !got.IsSingleIP() {
			t.Errorf("the address %s has the network %s", test.addr, got)
		}
	}
}

func TestIPv4OfTranslators(t *testing.T) {
	for _, test := range []struct{ site, addr, want string }{
		{"", "203.0.113.7", "203.0.113.7"},
		{"", "2001:db8:1:2:3::4", "2001:db8:1:2:3::4"},
		{"", "64:ff9b::198.51.100.3", "198.51.100.3"},
		{"", "64:ff9b:1:2:3:4:198.51.100.3", "198.51.100.3"},
		{"", "2002:c633:6403:5::6", "198.51.100.3"},
		{"", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"}, // RFC 4380, section 4
		{"2001:db8::/32", "2001:db8:c000:221::", "192.0.2.33"},
		{"2001:db8:100::/40", "2001:db8:1c0:2:21::", "192.0.2.33"},
		{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::", "192.0.2.33"},
		{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", "192.0.2.33"},
		{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", "192.0.2.33"},
		{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", "192.0.2.33"},
	} {
		var site NAT64
		if test.site != "" {
			site = NAT64{netip.MustParsePrefix(test.site)}
		}
		if got := site.IPv4(netip.MustParseAddr(test.addr)).String(); got != test.want {
			t.Errorf("%s stands for %s, want %s", test.addr, got, test.want)
		}
	}
}

func TestNoAggregationOverTranslators(t *testing.T) {
	site := NAT64{netip.MustParsePrefix("2001:db8:64::/96")}
	for network, want := range map[string]bool{
		"203.0.113.0/24":             false,
		"2001:db8:1::/48":            false,
		"2001:db8:1:2::/64":          false,
		"64:ff9b::c633:6403/128":     false,
		"64:ff9b::c633:6402/127":     true,
		"64:ff9b::/64":               true,
		"64::/16":                    true,
		"2002:c633:6403::/48":        false,
		"2002:c633:6402::/47":        true,
		"2001::/32":                  true,
		"2001:0:53aa:64c::/64":       true,
		"2001:db8:64::c633:6400/1":   true,
		"2001:db8:64::c633:6403/128": false,
	} {
		if got := site.IsWide(netip.MustParsePrefix(network)); got != want {
			t.Errorf("%s: %v, want %v", network, got, want)
		}
	}
}
