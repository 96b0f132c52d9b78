package main

import (
	"os"
	"slices"
	"testing"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/numbering"
)

const (
	shippedRules   = "../../rules.d"
	recordedAttack = "../../examples/recorded-attack"
)

// shipped loads the shipped rules without environment variables.
func shipped(t testing.TB) *config.Config {
	t.Helper()
	cfg, diags, files := config.Load(shippedRules, kinds, nil)
	if len(diags) > 0 {
		config.Print(os.Stderr, diags, files, 0, false)
		t.Fatal("the shipped rules are not clean")
	}
	return cfg
}

// logOf returns the log source of the shipped rules.
func logOf(cfg *config.Config) config.Source {
	return cfg.Sources[slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "log.freeswitch" })]
}

// TestShippedRules runs the tests in rules.d, and demands of each rule a test that fires and one that
// does not.
func TestShippedRules(t *testing.T) {
	cfg := shipped(t)
	site := numbering.Site{Country: "GB", Hours: numbering.Hours{}} // no test depends on it
	var err error
	if cfg.Numbering, err = numbering.New(site); err != nil {
		t.Fatal(err)
	}
	fires, rests, bans := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, rule := range cfg.Rules {
		bans[rule.Name] = rule.Ban != nil
	}
	for _, test := range cfg.Tests {
		t.Run(test.Rule+"/"+test.Name, func(t *testing.T) {
			differences, err := engine.RunTest(cfg, test)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				t.Errorf("%s: %s", test.Where, d)
			}
		})
		switch {
		case len(test.Bans) > 0 || len(test.Alerts) > 0 && !bans[test.Rule]:
			fires[test.Rule] = true
		case len(test.Alerts) == 0:
			rests[test.Rule] = true
		}
	}
	for _, rule := range cfg.Rules {
		if !fires[rule.Name] {
			t.Errorf("%s: no test shows that the rule %q fires", rule.Where, rule.Name)
		}
		if !rests[rule.Name] {
			t.Errorf("%s: no test shows that the rule %q does not fire", rule.Where, rule.Name)
		}
	}
	if warnings := config.Lint(cfg); len(warnings) > 0 {
		t.Errorf("the shipped rules have warnings: %v", warnings)
	}
}
