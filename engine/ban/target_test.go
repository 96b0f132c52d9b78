package ban

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseTarget(t *testing.T) {
	for _, test := range []struct {
		text, want string // want is "" where it is text
		kind       TargetKind
	}{
		{"203.0.113.7", "", TargetAddress},
		{"203.0.113.7/32", "203.0.113.7", TargetAddress},
		{"::ffff:203.0.113.7", "203.0.113.7", TargetAddress},
		{"2001:DB8::7", "2001:db8::7", TargetAddress},
		{"203.0.113.7/24", "203.0.113.0/24", TargetNetwork},
		{"::ffff:203.0.113.0/120", "203.0.113.0/24", TargetNetwork},
		{"::ffff:198.51.100.8/120", "198.51.100.0/24", TargetNetwork},
		{"2001:db8::1/64", "2001:db8::/64", TargetNetwork},
		{"0.0.0.0/0", "", TargetNetwork},
		{"203.0.113.7:5060/udp", "", TargetEndpoint},
		{"[2001:db8::7]:5061/tcp", "", TargetEndpoint},
		{"[::ffff:203.0.113.7]:5060/udp", "203.0.113.7:5060/udp", TargetEndpoint},
		{"1000@pbx.example", "", TargetAccount},
		{"1000@PBX.example", "1000@pbx.example", TargetAccount},
		{"a@b@pbx", "", TargetAccount},
		{"user:1000@PBX.example", "1000@pbx.example", TargetAccount},
		{"user:user:1000@pbx", "", TargetAccount}, // of the user "user:1000"
	} {
		got, err := ParseTarget(test.text)
		want := test.want
		if want == "" {
			want = test.text
		}
		if err != nil || got.String() != want || got.Kind() != test.kind || !got.IsValid() {
			t.Errorf("%q: %q of kind %q, %v; want %q of kind %q", test.text, got, got.Kind(), err, want, test.kind)
		}
		if again, err := ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q is not read back: %v, %v", got, again, err)
		}
		wire, err := json.Marshal(got)
		var back Target
		if err == nil {
			err = json.Unmarshal(wire, &back)
		}
		if err != nil || back != got {
			t.Errorf("%q in JSON: %s, %v, %v", got, wire, back, err)
		}
	}
	for _, text := range []string{
		"", "localhost", "1", "010.0.0.1", "1.2.3.4 ", "203.0.113", "203.0.113.7/33", "fe80::1%eth0", "::ffff:0:0/90", "203.0.113.7:5060", "203.0.113.7:0/udp",
		"203.0.113.7:5060/sctp", "203.0.113.7:99999/udp", "@pbx", "1000@", "10 00@pbx", "10\x1b00@pbx", "\xff@pbx", strings.Repeat("a", 300) + "@pbx",
	} {
		if got, err := ParseTarget(text); err == nil || got.IsValid() {
			t.Errorf("%q is read as %q", text, got)
		}
	}
	for _, domain := range []string{"pbx", "@pbx", "pbx@", "@", "a@pbx"} { // of a caller
		if got, err := ParseAccount("1000", domain); err == nil {
			if again, err := ParseTarget(got.String()); err != nil || again != got {
				t.Errorf("%q is not read back: %v, %v", got, again, err)
			}
		}
	}
}

func TestTargetOrder(t *testing.T) {
	var got []Target
	for _, text := range []string{"zoe@pbx", "2001:db8::1", "203.0.113.7:5060/udp", "203.0.113.7", "203.0.113.0/24", "1000@pbx"} {
		got = append(got, target(text))
	}
	got = append(got, Target{})
	slices.SortFunc(got, Target.Compare)
	var texts []string
	for _, one := range got {
		texts = append(texts, one.String())
	}
	want := []string{"", "203.0.113.0/24", "203.0.113.7", "2001:db8::1", "1000@pbx", "203.0.113.7:5060/udp", "zoe@pbx"}
	if !slices.Equal(texts, want) {
		t.Fatalf("order %q, want %q", texts, want)
	}
}

// TestOtherKindsInTheLedger follows a ban of an account and one of an endpoint from
// the refusal for lack of an action to the expiry, through a restart.
func TestOtherKindsInTheLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path)
	l := NewLedger(NewTrust([]Trusted{{Target: Network(network("198.51.100.0/24")), Name: "office"}}))
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	other := func(s string, when time.Time, ladder ...string) Order {
		return Order{Target: target(s), Rule: "r", Author: ByRule, At: when, Terms: terms(ladder...)}
	}
	mustRefuse(t, l, other("1000@pbx", t0, "1h"), "no action of the rule files can ban a target of the kind account")
	l.SetKinds([]TargetKind{TargetAccount, TargetEndpoint})
	mustBan(t, l, other("1000@pbx", t0, "1h", "2h"))
	mustBan(t, l, other("203.0.113.7:5060/udp", t0, "1h"))
	mustBan(t, l, order("203.0.113.8", t0, "1h"))
	mustRefuse(t, l, other("1000@PBX", t0, "1h"), "already banned until")
	mustRefuse(t, l, other("203.0.113.8:5060/udp", t0, "1h"), "already banned with 203.0.113.8 until")
	mustRefuse(t, l, other("198.51.100.7:5060/udp", t0, "1h"), "trusted: office")
	if got := l.Bans(); len(got) != 3 || l.Size() != 3 || got[0].Target != target("203.0.113.8") || got[1].Target != target("1000@pbx") {
		t.Fatalf("bans %v", got)
	}

	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := NewLedger(NewTrust(nil))
	again.SetKinds([]TargetKind{TargetAccount, TargetEndpoint})
	if err := again.Restore(open(t, path)); err != nil {
		t.Fatal(err)
	}
	sameState(t, "restart", l, again)
	l = again

	if c := l.Unban(target("203.0.113.7:5060/udp"), "by hand", at("1m"), time.Hour); c == nil {
		t.Fatal("the endpoint is not unbanned")
	}
	mustRefuse(t, l, other("203.0.113.7:5060/udp", at("2m"), "1h"), "in its grace")
	if expired := l.Advance(at("1h")); len(expired) != 2 || expired[1].Ban.Target != target("1000@pbx") {
		t.Fatalf("expired %v", expired)
	}
	if b := mustBan(t, l, other("1000@pbx", at("2h"), "1h", "2h")); b.Offence != 2 {
		t.Fatalf("offence %d of the account", b.Offence)
	}
	mustBan(t, l, other("203.0.113.7:5060/udp", at("2h"), "1h"))
	freed := l.Grant(Trusted{Name: "whitelist", Target: Network(netip.MustParsePrefix("203.0.113.0/24")), Author: "api", Since: at("2h")}, at("2h"))
	if len(freed) != 1 || freed[0].Ban.Target != target("203.0.113.7:5060/udp") {
		t.Fatalf("freed %v", freed)
	}
}
