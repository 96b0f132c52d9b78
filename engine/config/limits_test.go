package config_test

import (
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

func TestManyMistakesAreCounted(t *testing.T) {
	mistakes := "trusted \"x\" { networks = [" + strings.Repeat(`"10.0.0.1/8", `, 150) + strings.Repeat(`"x", `, 400) + "] }"
	cfg, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.hcl": mistakes}), "rules.d", kinds, nil)
	if len(diags) != 101 || diags[100].Detail != "There are 450 more, which are not shown." {
		t.Errorf("%d diagnostics: %v", len(diags), diags[len(diags)-1])
	}
	if cfg != nil || !diags.HasErrors() {
		t.Error("the errors behind the first hundred warnings do not count")
	}
}

func TestDangerousFilesAreNotParsed(t *testing.T) {
	const n = 1 << 16 // far beyond every limit
	for name, content := range map[string]string{
		"lists.hcl":       "locals {\n a = " + strings.Repeat("[", n),
		"blocks.hcl":      strings.Repeat("a {\n", n),
		"negations.hcl":   "locals {\n a = " + strings.Repeat("!", n) + "true\n}",
		"sums.hcl":        "locals {\n a = 1" + strings.Repeat("+1", n) + "\n}",
		"choices.hcl":     "locals {\n a = " + strings.Repeat("true ? 1 : ", n/4) + "1\n}",
		"indices.hcl":     "locals {\n a = [1]" + strings.Repeat("[0]", n) + "\n}",
		"splats.hcl":      "locals {\n a = [1]" + strings.Repeat(".*", n) + "\n}",
		"templates.hcl":   "locals {\n a = " + strings.Repeat(`"${`, n),
		"lists.json":      `{"locals": {"a": ` + strings.Repeat("[", n),
		"objects.json":    strings.Repeat(`{"a":`, n),
		"templates.json":  `{"locals": {"a": "` + strings.Repeat("${(", n/4) + `"}}`,
		"exponents.hcl":   "locals {\n a = \"${1e999999999}\"\n}",
		"exponents.json":  `{"trusted": {"x": {"networks": "10.0.0.1", "comment": 1e999999999}}}`,
		"digits.json":     `{"trusted": {"x": {"networks": "10.0.0.1", "comment": ` + strings.Repeat("9", n) + `}}}`,
		"size.hcl":        strings.Repeat("# some comment\n\n", 5*n),
		"unclosed.json":   `{"a": "` + strings.Repeat("x", n),
		"invalid_utf.hcl": strings.Repeat("\xff", 1000),
	} {
		_, diags, files := config.LoadFS(tree(map[string]string{"rules.d/" + name: content}), "rules.d", kinds, nil)
		if !diags.HasErrors() {
			t.Errorf("%s: no error", name)
		}
		for _, diag := range diags {
			checkPosition(t, diag, files)
		}
	}
}

func TestManyLocalsAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("locals {\n")
	for i := range 2001 {
		fmt.Fprintf(&b, "a%d = \"192.0.2.1\"\n", i)
	}
	b.WriteString("}\ntrusted \"x\" { networks = [local.a0, local.a2000] }")
	_, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.hcl": b.String()}), "rules.d", kinds, nil)
	if len(diags) != 1 || diags[0].Summary != "Too many locals" {
		t.Errorf("diagnostics %v", diags)
	}
}
