package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"freeswitch-security/engine/config"
)

// rulesOf describes the rules of a configuration.
func rulesOf(cfg *config.Config) (all []string) {
	for _, r := range cfg.Rules {
		all = append(all, fmt.Sprintf("%s %s %s %v %v %v", r.Name, r.Where, r.Match, r.On, r.Ban, r.Alert))
	}
	return all
}

// TestRulesWithoutTests checks that a load without the tests has the same rules, whatever stands in a test
// or looks like one.
func TestRulesWithoutTests(t *testing.T) {
	const given = "given { event = \"auth_failure\" }\n"
	kept := 0 // files in which no test was left out
	for _, test := range []string{
		"test \"a\" {\n" + given + "}\n",
		"test \"a\" {\n    " + given + "    }\n",
		"test \"a\" {\n" + given + "bans = {\n\"192.0.2.1\" = \"1h\"\n}\n}\n",
		"test \"a\" {\n  # }\n  // }}\n  given {\n    event = \"auth_failure\" # {\n    user = \"}}\\\"{\"\n  }\n}\n",
		"test \"a\" {\n  given {\n    line = <<-EOT\n      }\n      test \"b\" {\n      EOTS\n    EOT\n  }\n}\n",
		"test \"a\" {\n  given {\n    line = <<EOT\n$${x} }\nEOT\n  }\n}\n",
		"test \"a\" {\n  given {\n    line = <<EOT\n${\"EOT\"} }\nEOT\n  }\n}\n",
		"test \"a\" {\n  given {\n    event = \"${lower(\"AUTH_FAILURE\")}\"\n  }\n}\n",
		"/*\ntest \"b\" {\n*/\ntest \"a\" {\n" + given + "}\n",
		"# test \"b\" {\ntest \"a\" {\n" + given + "} # end\n",
		"test \"a\" {\r\n" + given + "}\r\n",
	} {
		for _, rest := range []string{"ban {}\n", "ban {\n}\n", "ban {\n  for = \"2h\"\n}\n"} {
			src := site + "rule \"r\" {\non = [source.log.freeswitch]\nmatch = <<-EOT\n  event == 'auth_failure'\nEOT\n" + test + rest + "}\n" +
				"rule \"s\" {\non = [source.log.freeswitch]\nmatch = \"event == 'auth_failure'\"\nban {}\n" + test + "}\n"
			dir := t.TempDir()
			write(t, dir, "a.hcl", src)
			whole, diags, _ := config.Load(dir, kinds, nil)
			if diags.HasErrors() {
				t.Fatalf("%s\n%v", src, diags)
			}
			cfg, diags, files := config.LoadRules(dir, kinds, nil)
			if diags.HasErrors() || len(cfg.Tests)+len(cfg.Skipped) > 0 || len(whole.Tests) != 2 || !slices.Equal(rulesOf(cfg), rulesOf(whole)) {
				t.Errorf("%s\n%v\n%v", src, diags, cfg)
			}
			if bytes.Contains(files[filepath.Join(dir, "a.hcl")].Bytes, []byte("given")) {
				kept++
			}
		}
	}
	if kept != 5*3 {
		t.Errorf("%d of 33 files were read as a whole", kept)
	}
}

// TestMistakesInTests checks that a load without the tests reports no mistake in one, but for what makes
// the end of the test uncertain.
func TestMistakesInTests(t *testing.T) {
	for test, wrong := range map[string]bool{
		"test \"a\" {\n  given { event = \"auth_filure\" }\n}\n":         false,
		"test \"a\" {\n  given { event = }\n}\n":                         false,
		"test \"a\" {\n  given { event = \"auth_failure\"\n}\n":          true,
		"test \"a\" {\n  given { event = \"auth_failure }\n}\n":          true,
		"test \"a\" {\n  given {\n    line = <<EOT\n  }\n}\n":            true,
		"test \"a\" {\n  given { event = \"auth_failure\" }\n}\nban {\n": true,
	} {
		dir := t.TempDir()
		write(t, dir, "a.hcl", site+"rule \"r\" {\non = [source.log.freeswitch]\nmatch = \"event == 'auth_failure'\"\nalert {}\n"+test+"}\n")
		if _, diags, _ := config.Load(dir, kinds, nil); !diags.HasErrors() {
			t.Errorf("%s: no mistake", test)
		}
		if _, diags, _ := config.LoadRules(dir, kinds, nil); diags.HasErrors() != wrong {
			t.Errorf("%s: %v", test, diags)
		}
	}
}

// TestNoRuleIsHidden checks that a load without the tests refuses a file in which something that looks like
// a test would hide a rule.
func TestNoRuleIsHidden(t *testing.T) {
	const rule = "rule \"r\" {\non = [source.log.freeswitch]\nmatch = \"event == 'auth_failure'\"\nalert {}\n"
	for _, src := range []string{
		"test \"a\" {\n" + rule + "}\n",
		"test \"a\" {\n" + rule + "}\n}\n",
		rule + "test \"a\" {\n  given {\n    line = <<EOT \n}\n}\n}\nrule \"s\" {\nEOT\n  }\n}\n}\n",
		rule + "test \"a\" {\n" + rule + "}\n}\n",
		rule + "test \"a\" {\n  given {\n    event = \"auth_failure\"\n    line = <<EOT\n  }\n}\n}\n" + rule + "test \"b\" {\n  given {\n    line = <<EOT\nEOT\n  }\n}\n}\n",
		rule + "ban {\n  test \"a\" {\n  }\n}\n}\n",
	} {
		dir := t.TempDir()
		write(t, dir, "a.hcl", site+src)
		if cfg, diags, _ := config.LoadRules(dir, kinds, nil); !diags.HasErrors() {
			t.Errorf("%s: %d rules", src, len(cfg.Rules))
		}
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
