package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// Lint gives warnings about what is right but likely not meant: a rule that no
// test shows at work, and a source that no rule listens to. They come in the
// order of files and lines, and each has a position.
func Lint(cfg *Config) hcl.Diagnostics {
	var diags hcl.Diagnostics
	warn := func(rng hcl.Range, summary, detail string) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: &rng})
	}
	heard, tested := map[string]bool{}, map[string]bool{}
	for _, test := range cfg.Tests {
		tested[test.Rule] = true
	}
	for _, spec := range cfg.Rules {
		for _, ref := range spec.On {
			heard[ref] = true
		}
		if !tested[spec.Name] {
			warn(cfg.ruleRanges[spec.Name], "Rule without a test",
				fmt.Sprintf("Nothing shows whom the rule %q bans, and whom it leaves alone. Add a test block to it.", spec.Name))
		}
	}
	for _, source := range cfg.Sources {
		if !heard[source.Ref] {
			warn(source.Range, "Source that nobody reads",
				fmt.Sprintf("No rule listens to source.%s. Name it in a rule, or remove it.", source.Ref))
		}
	}
	return tidy(diags, nil, hcl.Range{})
}
