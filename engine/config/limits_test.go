package config_test

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
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
	const n = 1 << 14
	for name, content := range map[string]string{
		"lists.hcl":       "locals {\n a = " + strings.Repeat("[", n),
		"closed.hcl":      "locals {\n a = " + strings.Repeat("[", n) + strings.Repeat("]", n) + "\n}",
		"blocks.hcl":      strings.Repeat("a {\n", n),
		"negations.hcl":   "locals {\n a = " + strings.Repeat("! ", n) + "true\n}",
		"templates.hcl":   "locals {\n a = " + strings.Repeat(`"${`, n),
		"remarks.hcl":     "locals {\n a = (" + strings.Repeat("(#)\n", n/2) + "1" + strings.Repeat(")", n/2) + ")\n}",
		"aside.hcl":       "locals {\n a = (" + strings.Repeat("!/*,*/\n", n/2) + "true)\n}",
		"sums.hcl":        "locals {\n a = 1" + strings.Repeat("+1", n) + "\n}",
		"splats.hcl":      "locals {\n a = [1]" + strings.Repeat("[*]", n) + "\n}",
		"choices.hcl":     "locals {\n a = " + strings.Repeat("true?", n/2) + "1" + strings.Repeat(":1", n/2) + "\n}",
		"lists.json":      `{"locals": {"a": ` + strings.Repeat("[", n),
		"splats.json":     `{"locals": {"a": "${[1]` + strings.Repeat("[*]", n) + `}"}}`,
		"objects.json":    strings.Repeat(`{"a":`, n/2),
		"templates.json":  `{"locals": {"a": "` + strings.Repeat("${(", n) + `"}}`,
		"strings.json":    `{"locals": {"a": ` + strings.Repeat(`["]",`, n/2) + "1" + strings.Repeat("]", n/2) + "}}",
		"escapes.json":    `{"locals": {"a": "${` + strings.Repeat(`\u0028`, n/2) + "1" + strings.Repeat(")", n/2) + `}"}}`,
		"size.hcl":        strings.Repeat("# some comment\n\n", 4*n),
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
		switch name {
		case "size.hcl", "unclosed.json", "invalid_utf.hcl", "templates.hcl": // which has no closing quote
		default:
			if len(diags) != 1 || diags[0].Summary != "Nested too deeply" {
				t.Errorf("%s: %v", name, diags)
			}
		}
	}
}

// TestDeepFilesAreHarmless parses the deepest files that are not refused, and wide ones.
func TestDeepFilesAreHarmless(t *testing.T) {
	deep := func(open, inner, end string, n int) string {
		return "locals {\n a = " + strings.Repeat(open, n) + inner + strings.Repeat(end, n) + "\n}"
	}
	for name, content := range map[string]string{
		"sums.hcl":      deep("1+", "1", "", 990),
		"choices.hcl":   deep("true?1:", "1", "", 990),
		"indices.hcl":   "locals {\n a = [1]" + strings.Repeat("[0]", 990) + "\n}",
		"splats.hcl":    "locals {\n a = [1]" + strings.Repeat("[*]", 490) + "\n}",
		"members.hcl":   "locals {\n a = [1]" + strings.Repeat(".*", 490) + "\n}",
		"lists.hcl":     deep("[", "1", "]", 990),
		"parens.hcl":    deep("(", "1", ")", 990),
		"negations.hcl": deep("!", "true", "", 990),
		"templates.hcl": deep(`"${`, "1", `}"`, 490),
		"list.json":     `{"locals": {"a": "user in [` + strings.Repeat(`\"10-00\",`, 2000) + `]"}}`,
		"comments.hcl":  strings.Repeat("# ([{ "+strings.Repeat("-", 1100)+"\n", 400) + "/* " + strings.Repeat("([{!", 2000) + " */\n",
		"strings.hcl":   "locals {\n a = \"" + strings.Repeat("([{!", 2000) + "\"\n b = <<END\n" + strings.Repeat("([{!", 2000) + "\nEND\n}",
		"strings.json":  `{"locals": {"a": [` + strings.Repeat(`"([{!\"", "${-1}",`, 2000) + `"x"]}}`,
		"wide.hcl": "locals {\n n = 1\n" + strings.Repeat("# \n/* */", 2000) + "\n a = [" + strings.Repeat("-local.n + 1, (local.n),\n", 2000) + "]\n" +
			" b = <<END\n" + strings.Repeat("%{if local.n == 1}${local.n}%{else}%{for x in [1]}${x}%{endfor}%{endif}\n", 2000) + "END\n" +
			" c = [" + strings.Repeat("{ a = local.n + 1\n b = [for x in [1]:\n x] # one\n c = 1 },", 1500) + "]\n}\n" +
			strings.Repeat("locals {}\nlocals { # none\n\n /* */ }\n", 1500),
	} {
		_, diags, files := config.LoadFS(tree(map[string]string{"rules.d/" + name: content, "rules.d/site.hcl": site}), "rules.d", kinds, nil)
		for _, diag := range diags {
			checkPosition(t, diag, files)
			if diag.Summary == "Nested too deeply" || diag.Summary == "Unreadable file" || name == "wide.hcl" && diag.Severity == hcl.DiagError {
				t.Errorf("%s: %s: %s", name, diag.Summary, diag.Detail)
			}
		}
	}
}
