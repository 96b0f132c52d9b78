package rule

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"freeswitch-security/engine/event"
)

func TestParseKey(t *testing.T) {
	for _, test := range []struct {
		parts []string
		want  Key
		text  string
	}{
		{[]string{"ip"}, Key{{Field: "ip", Network: Host}}, "ip"},
		{[]string{"ip/24"}, Key{{Field: "ip", Network: Network{V4: 24}}}, "ip/24"},
		{[]string{"ip/24,48"}, Key{{Field: "ip", Network: Network{V4: 24, V6: 48}}}, "ip/24,48"},
		{[]string{"user@domain"}, Key{{Field: "user"}, {Field: "domain"}}, "user@domain"},
		{[]string{"user", "domain"}, Key{{Field: "user"}, {Field: "domain"}}, "user@domain"},
		{[]string{"ip", "user@domain", "method"}, Key{{Field: "ip", Network: Host}, {Field: "user"}, {Field: "domain"}, {Field: "method"}}, "ip,user@domain,method"},
		{[]string{"port"}, Key{{Field: "port"}}, "port"},
	} {
		got, err := ParseKey(test.parts)
		if err != nil {
			t.Errorf("%v: %v", test.parts, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v: %s", test.parts, diff)
		}
		if got.String() != test.text {
			t.Errorf("%v prints as %q, want %q", test.parts, got, test.text)
		}
	}
}

func TestParseKeyErrors(t *testing.T) {
	for parts, want := range map[string]string{
		"":                          "at least one field",
		"usr":                       `Did you mean "user"?`,
		"xyzzy":                     `there is no field "xyzzy"`,
		"message":                   "different in nearly every event",
		"source":                    "windows of its own",
		"repeat":                    "skip repeated reports",
		"ip/0":                      "1 to 32",
		"ip/33":                     "1 to 32",
		"ip/24,129":                 "1 to 128",
		"ip/24,":                    "1 to 128",
		"user domain user":          "in the key twice",
		"ip ip/24":                  "in the key twice",
		"ip user domain port level": "at most 4",
	} {
		_, err := ParseKey(strings.Fields(parts))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", parts, err, want)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	for s, want := range map[string]Network{"24": {V4: 24}, "24,64": {V4: 24, V6: 64}, " 32 , 128 ": {V4: 32, V6: 128}} {
		if got, err := ParseNetwork(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "-1", "24,64,1", ",64", "1e1"} {
		if got, err := ParseNetwork(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	for _, test := range []struct {
		network Network
		addr    string
		want    string
	}{
		{Host, "203.0.113.7", "203.0.113.7/32"},
		{Host, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{Network{V4: 24}, "203.0.113.7", "203.0.113.0/24"},
		{Network{V4: 24}, "2001:db8::1", ""},
		{Network{V6: 48}, "203.0.113.7", ""},
	} {
		got, ok := test.network.Of(netip.MustParseAddr(test.addr), nil)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%v of %s: got %v, %v; want %q", test.network, test.addr, got, ok, test.want)
		}
	}
	if _, ok := Host.Of(netip.Addr{}, nil); ok {
		t.Error("an invalid address has a network")
	}
}

func TestKeyer(t *testing.T) {
	digestOf := func(k *keyer, change func(*event.Event)) digest {
		t.Helper()
		ev := guess()
		change(ev)
		d, ok := k.digest(ev)
		if !ok {
			t.Fatal("no key")
		}
		return d
	}
	key, err := ParseKey([]string{"user", "domain", "ip/24"})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeyer(key, nil)
	same := digestOf(k, func(*event.Event) {})
	if digestOf(k, func(ev *event.Event) { ev.IP = netip.MustParseAddr("203.0.113.8") }) != same {
		t.Error("addresses of one network have different keys")
	}
	if digestOf(k, func(ev *event.Event) { ev.User, ev.Domain = "1000p", "bx.example" }) == same {
		t.Error("the border between two parts does not count")
	}
	for name, change := range map[string]func(*event.Event){
		"no user":      func(ev *event.Event) { ev.User = "" },
		"no address":   func(ev *event.Event) { ev.IP = netip.Addr{} },
		"other family": func(ev *event.Event) { ev.IP = netip.MustParseAddr("2001:db8::1") },
	} {
		ev := guess()
		change(ev)
		if _, ok := k.digest(ev); ok {
			t.Errorf("%s: an event that lacks a part has a key", name)
		}
	}
	if got := k.text(guess()); got != "1000@pbx.example,203.0.113.0/24" {
		t.Error(got)
	}
}

func TestKeyText(t *testing.T) {
	key, _ := ParseKey([]string{"user@domain"})
	ev := guess()
	ev.User = "bob\x1b[2J\u202e"
	if got, want := newKeyer(key, nil).text(ev), `bob\x1b[2J\u202e@pbx.example`; got != want {
		t.Errorf("got %s, want %s: control characters reach a terminal", got, want)
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{
		"usr": "user", "domian": "domain", "destnation": "destination", "y": "", "xyzzy": "", "useragent": "user_agent",
		strings.Repeat("user", 100): "",
	} {
		if got := event.Nearest(word, event.FieldNames); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
