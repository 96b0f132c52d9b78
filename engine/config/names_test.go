package config_test

import (
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"

	"github.com/google/go-cmp/cmp"
)

func TestTrustedNames(t *testing.T) {
	cfg := mustLoad(t, map[string]string{"rules.d/a.hcl": site + `
trusted "carrier" {
  comment = "trunk"
  names   = ["SIP.Carrier.example.", "_sip.b-2.example"]
}`}, nil)
	want := []config.TrustedName{
		{Host: "sip.carrier.example", Trust: ban.Trusted{Name: "name sip.carrier.example of carrier", Comment: "trunk", Where: "rules.d/a.hcl:8"}},
		{Host: "_sip.b-2.example", Trust: ban.Trusted{Name: "name _sip.b-2.example of carrier", Comment: "trunk", Where: "rules.d/a.hcl:8"}},
	}
	if diff := cmp.Diff(want, cfg.Names, cmp.Comparer(func(a, b ban.Target) bool { return a == b })); diff != "" {
		t.Errorf("names, -want +got:\n%s", diff)
	}
}

func TestWrongNames(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("%q", fmt.Sprintf("sbc%d.carrier.example", i))
	}
	for list, want := range map[string]string{
		`"localhost"`:           "Not a DNS name",
		`"203.0.113.9"`:         "Not a DNS name",
		`"2001:db8::1"`:         "Not a DNS name",
		`"sip:a.example"`:       "Not a DNS name",
		`"*.carrier.example"`:   "Not a DNS name",
		`"a..example"`:          "Not a DNS name",
		`"bücher.example"`:      "Not a DNS name",
		strings.Join(many, ","): "Too many names",
	} {
		_, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.hcl": site + "\ntrusted \"x\" { names = [" + list + "] }"}), "rules.d", kinds, environment(nil))
		if len(diags) != 1 || diags[0].Summary != want {
			t.Errorf("%s: %v", list, diags)
		}
	}
}
