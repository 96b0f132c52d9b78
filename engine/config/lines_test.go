package config_test

import (
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

// TestFileLines reads lists of networks and accounts from files, in HCL and in JSON, and from a local that an
// expression uses.
func TestFileLines(t *testing.T) {
	files := map[string]string{
		"rules.d/a.hcl": `
locals { offices = file_lines("lists/offices.txt") }
trusted "offices" { networks = concat(local.offices, ["192.0.2.1"]) }
trusted "dialers" { users = file_lines("/etc/dialers") }
trusted "none" { networks = file_lines("lists/empty.txt") }
source "log" "freeswitch" {}
source "log" "off" {
  enabled = false
  path    = join("", file_lines("missing"))
}
rule "elsewhere" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure' and not in_network(ip, local.offices)"
  alert {}
}
`,
		"rules.d/b.json":            "\ufeff" + `{"trusted": {"json": {"networks": "${file_lines(\"lists/offices.txt\")}"}}}`,
		"rules.d/lists/offices.txt": "# offices\r\n203.0.113.0/24\tBerlin\r\n\n  198.51.100.7# Bonn\n2001:db8::/48",
		"rules.d/lists/empty.txt":   "# none\n",
		"etc/dialers":               "\ufeff2000@pbx.example\n2001\n",
	}
	cfg, diags, _ := config.LoadFS(tree(files), "rules.d", kinds, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var trusted []string
	for _, one := range cfg.Trusted {
		trusted = append(trusted, fmt.Sprintf("%s %s %s", one.Name, one.Target, one.Where))
	}
	want := `offices 203.0.113.0/24 rules.d/a.hcl:3
offices 198.51.100.7 rules.d/a.hcl:3
offices 2001:db8::/48 rules.d/a.hcl:3
offices 192.0.2.1 rules.d/a.hcl:3
dialers 2000@pbx.example rules.d/a.hcl:4
dialers 2001@* rules.d/a.hcl:4
json 203.0.113.0/24 rules.d/b.json:1
json 198.51.100.7 rules.d/b.json:1
json 2001:db8::/48 rules.d/b.json:1`
	if got := strings.Join(trusted, "\n"); got != want {
		t.Errorf("trusted:\n%s\nwant:\n%s", got, want)
	}
	for content, want := range map[string]string{
		"# ours\n203.0.113.0/24\n203.0.113.0/33\n": "entry 2 of the list given here should be a network", "\xff": "not a text in UTF-8",
	} {
		files["rules.d/lists/offices.txt"] = content
		if _, diags, _ := config.LoadFS(tree(files), "rules.d", kinds, nil); !diags.HasErrors() || !strings.Contains(strings.ToLower(diags.Error()), strings.ToLower(want)) {
			t.Errorf("%q: %v", content, diags)
		}
	}
}
