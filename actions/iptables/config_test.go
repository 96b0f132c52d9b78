package iptables

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

func TestDefaults(t *testing.T) {
	c := parse(t, "").config
	if c.chain != "FREESWITCH" || c.target != "DROP" || c.backend != backendAuto || c.ipsetAbove != 100 || !c.ipv6 ||
		c.aggregate != [2]int{} || !slices.Equal(c.matches, []string{""}) || !reflect.DeepEqual(c.tables, []table{{"filter", []string{"INPUT"}}}) {
		t.Errorf("%+v", c)
	}
	families := parse(t, "").families
	if families[ipv4].sets[networks].name != "freeswitch-blocked" || families[ipv6].sets[endpoints].name != "freeswitch-ports6" {
		t.Error(families[ipv4].sets[networks].name, families[ipv6].sets[endpoints].name)
	}
}

func TestEverythingSet(t *testing.T) {
	a := parse(t, `
		chain       = "VOIP"
		target      = "REJECT"
		ports       = ["5060-5061", "5080"]
		protocols   = ["udp"]
		hooks       = ["INPUT", "DOCKER-USER"]
		backend     = "ipset"
		ipset_above = 7
		max_entries = 4096
		aggregate   = "24,48"
		ipv6        = false`)
	c := a.config
	if !slices.Equal(c.matches, []string{"-p udp -m multiport --dports 5060:5061,5080"}) {
		t.Errorf("%q", c.matches)
	}
	if a.families[ipv4].sets[networks].name != "voip-blocked" || len(a.families) != 1 || c.ipsetAbove != 7 || c.maxEntries != 4096 || c.ipv6 ||
		c.aggregate != [2]int{24, 48} || len(c.tables[0].hooks) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestPortsTakeBothProtocols(t *testing.T) {
	c := parse(t, `ports = ["05060"]`).config
	want := []string{"-p udp -m multiport --dports 5060", "-p tcp -m multiport --dports 5060"}
	if !slices.Equal(c.matches, want) {
		t.Errorf("%q", c.matches)
	}
}

func TestConfigDiagnostics(t *testing.T) {
	for body, want := range map[string]string{
		`chain = "INPUT"`:                    `a name of iptables`,
		`chain = "a b"`:                      `1 to 22 letters, digits, _ or -`,
		`chain = "-j"`:                       `1 to 22 letters, digits, _ or -`,
		`chain = "A_CHAIN_WITH_A_LONG_NAME"`: `1 to 22 letters`,
		`target = "ACCEPT"`:                  `one of`,
		`backend = "nftables"`:               `one of`,
		`ports = ["sip"]`:                    `"sip" is neither a port`,
		`ports = ["5061-5060"]`:              `neither a port`,
		`ports = ["0"]`:                      `neither a port`,
		`ports = ["1-2","3-4","5-6","7-8","9-10","11-12","13-14","15-16"]`: `At most 15 ports`,
		`protocols = ["sctp"]`:                              `one of`,
		`hooks = []`:                                        `at least one chain`,
		`hooks = ["OUTPUT"]`:                                `that this host sends`,
		`hooks = ["nat/PREROUTING"]`:                        `filter, raw or mangle`,
		`hooks = ["PREROUTING"]`:                            `has no chain PREROUTING; write "mangle/PREROUTING" or "raw/PREROUTING"`,
		`hooks = ["INPT"]`:                                  `did you mean "INPUT"?`,
		`hooks = ["input"]`:                                 `did you mean "INPUT"?`,
		`hooks = ["filter/DOCKER_USER"]`:                    `did you mean "DOCKER-USER"?`,
		`hooks = ["raw/PREROUTNG"]`:                         `did you mean "PREROUTING"?`,
		`hooks = ["VOIP-IN"]`:                               `with its table, as "filter/VOIP-IN"`,
		"hooks = [\"raw/PREROUTING\"]\ntarget = \"REJECT\"": `use DROP`,
		`ipset_above = 0`:                                   `1 to`,
		`max_entries = 1`:                                   `64 to`,
		`aggregate = "33"`:                                  `between 8 and 31`,
		`aggregate = "24,8"`:                                `between 16 and 127`,
		`chian = "X"`:                                       `"chian"`,
		`ipv6 = "perhaps"`:                                  `true or false`,
	} {
		b := settingstest.Block(t, "rules.hcl", body, nil)
		Kind.New(b, plugin.ActionEnv{Name: "iptables.drop", Chain: "FREESWITCH", Claim: func(string) {}})
		b.Done()
		diags := b.Diagnostics()
		if !diags.HasErrors() {
			t.Errorf("%s: accepted", body)
			continue
		}
		d := diags.Errs()[0].(*hcl.Diagnostic)
		if !strings.Contains(d.Detail, want) || d.Subject == nil || d.Subject.Filename != "rules.hcl" {
			t.Errorf("%s: %s (%v); want %q", body, d.Detail, d.Subject, want)
		}
	}
}
