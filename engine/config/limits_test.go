package config_test

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

func TestManyMistakesAreCounted(t *testing.T) {
	mistakes := "trusted \"x\" { networks = [" + strings.Repeat(`"0.0.0.0/0", `, 150) + strings.Repeat(`"x", `, 400) + "] }"
	cfg, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.hcl": mistakes}), "rules.d", kinds, nil)
	if len(diags) != 101 || diags[100].Detail != "There are 450 more, which are not shown." {
		t.Errorf("%d diagnostics: %v", len(diags), diags[len(diags)-1])
	}
	if cfg != nil || !diags.HasErrors() {
		t.Error("the errors behind the first hundred warnings do not count")
	}
}

// TestDangerousFilesAreNotParsed: a file that could overflow the stack, and one that is
// too large, is refused.
func TestDangerousFilesAreNotParsed(t *testing.T) {
	const n = 1 << 17
	for name, content := range map[string]string{
		"lists.hcl":       "locals {\n a = " + strings.Repeat("[", n),
		"closed.hcl":      "locals {\n a = " + strings.Repeat("[", n) + strings.Repeat("]", n) + "\n}",
		"blocks.hcl":      strings.Repeat("a {\n", n),
		"negations.hcl":   "locals {\n a = " + strings.Repeat("! ", n) + "true\n}",
		"templates.hcl":   "locals {\n a = " + strings.Repeat(`"${`, n),
		"remarks.hcl":     "locals {\n a = (" + strings.Repeat("(#)\n", n/2) + "1" + strings.Repeat(")", n/2) + ")\n}",
		"aside.hcl":       "locals {\n a = (" + strings.Repeat("!/*,*/\n", n/2) + "true)\n}",
		"lists.json":      `{"locals": {"a": ` + strings.Repeat("[", n),
		"objects.json":    strings.Repeat(`{"a":`, n/2),
		"templates.json":  `{"locals": {"a": "` + strings.Repeat("${(", n) + `"}}`,
		"strings.json":    `{"locals": {"a": ` + strings.Repeat(`["]",`, n/2) + "1" + strings.Repeat("]", n/2) + "}}",
		"escapes.json":    `{"locals": {"a": "${` + strings.Repeat(`\u0028`, n/2) + "1" + strings.Repeat(")", n/2) + `}"}}`,
		"size.hcl":        strings.Repeat("# some comment\n\n", n/2),
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

// TestDeepFilesAreHarmless parses the deepest files of the largest size that are not
// refused.
func TestDeepFilesAreHarmless(t *testing.T) {
	const size = 512<<10 - 100
	deep := func(open, inner, end string, n int) string {
		return "locals {\n a = " + strings.Repeat(open, n) + inner + strings.Repeat(end, n) + "\n}"
	}
	for name, content := range map[string]string{
		"sums.hcl":      "locals {\n a = 1" + strings.Repeat("+1", size/2-10) + "\n}",
		"choices.hcl":   "locals {\n a = " + strings.Repeat("true?1:", size/7-5) + "1\n}",
		"indices.hcl":   "locals {\n a = [1]" + strings.Repeat("[0]", size/3-10) + "\n}",
		"splats.hcl":    "locals {\n a = [1]" + strings.Repeat(".*", size/2-10) + "\n}",
		"lists.hcl":     deep("[", "1", "]", 990),
		"parens.hcl":    deep("(", "1", ")", 990),
		"negations.hcl": deep("!", "true", "", 990),
		"templates.hcl": deep(`"${`, "1", `}"`, 490),
		"comments.hcl":  strings.Repeat("# ([{ "+strings.Repeat("-", 1100)+"\n", 400) + "/* " + strings.Repeat("([{!", 2000) + " */\n",
		"strings.hcl":   "locals {\n a = \"" + strings.Repeat("([{!", 2000) + "\"\n b = <<END\n" + strings.Repeat("([{!", 2000) + "\nEND\n}",
		"strings.json":  `{"locals": {"a": [` + strings.Repeat(`"([{!\"",`, 2000) + `"x"]}}`,
	} {
		_, diags, files := config.LoadFS(tree(map[string]string{"rules.d/" + name: content, "rules.d/site.hcl": site}), "rules.d", kinds, nil)
		for _, diag := range diags {
			if checkPosition(t, diag, files); diag.Summary == "Nested too deeply" || diag.Summary == "Unreadable file" {
				t.Errorf("%s: %s", name, diag.Detail)
			}
		}
	}
}
