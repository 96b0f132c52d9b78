package config_test

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
)

// TestMistakeInMatchHasItsPosition writes the unknown field zzz in every form of a text,
// with escapes or without. The diagnostic must cover exactly that word.
func TestMistakeInMatchHasItsPosition(t *testing.T) {
	for name, tc := range map[string]struct {
		file, match string
		word        string // as it stands in the file
		// wide is by how many bytes the text before it, on its line, is longer
		// than it has characters for the eye.
		wide int
	}{
		"quoted":                 {"a.hcl", `"event == 'call' and zzz == 'x'"`, "zzz", 0},
		"escapes before":         {"a.hcl", `"event == \"call\" and\tuser != '\u00e9\U0001F600' and zzz == 'x'"`, "zzz", 0},
		"escape inside":          {"a.hcl", `"event == 'call' and z\u007Az == 'x'"`, `z\u007Az`, 0},
		"doubled template signs": {"a.hcl", `"user != '$${x}' and user != '%%{y}' and zzz == 'x'"`, "zzz", 0},
		"non-ASCII":              {"a.hcl", `"user != 'çé👩‍👩‍👧' and zzz == 'x'"`, "zzz", 19},
		"heredoc":                {"a.hcl", "<<EOT\n    event == 'call'\n  and zzz == 'x'\nEOT", "zzz", 0},
		"flush heredoc":          {"a.hcl", "<<-EOT\n      user == 'é'\n    and zzz == 'x'\n    EOT", "zzz", 0},
		"heredoc blank lines":    {"a.hcl", "<<-EOT\n    user == 'é'\n\n  \n\tand zzz == '$${x}'\n    EOT", "zzz", 0},
		"heredoc tabs":           {"a.hcl", "<<-EOT\n\t\tuser == 'é'\n\t\t\tand zzz == 'x'\n\t\tEOT", "zzz", 0},
		"heredoc with CRLF":      {"a.hcl", "<<-EOT\r\n    user == 'é'\r\n\r\n    and zzz == 'x'\r\n    EOT", "zzz", 0},
		"heredoc doubled signs":  {"a.hcl", "<<-EOT\n    user == '%%{é}$${'\n      and zzz == 'x'\n    EOT", "zzz", 0},
		"JSON":                   {"a.json", `"event == 'call' and zzz == 'x'"`, "zzz", 0},
		"JSON escapes":           {"a.json", `"event == \"call\"\n and\/**\/ user != '\u00e9\ud83d\ude00' and zzz == 'x'"`, "zzz", 0},
		"JSON non-ASCII":         {"a.json", `"user != 'çé👩‍👩‍👧' and zzz == 'x'"`, "zzz", 19},
		"JSON escape inside":     {"a.json", `"event == 'call' and \u007azz == 'x'"`, `\u007azz`, 0},
		// Not in Unicode's composed form: HCL recomposes it, and only the whole
		// can be pointed at.
		"decomposed": {"a.hcl", `"user != 'e` + "\u0301" + `' and zzz == 'x'"`, `"user != 'e` + "\u0301" + `' and zzz == 'x'"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			src := "rule \"r\" {\n  on = [source.log.freeswitch]\n  match = " + tc.match + "\n  ban {}\n}\n"
			if strings.HasSuffix(tc.file, ".json") {
				src = `{"rule": {"r": {"on": "source.log.freeswitch", "match": ` + tc.match + `, "ban": {}}}}`
			}
			_, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/" + tc.file: src, "rules.d/site.hcl": site}), "rules.d", kinds, nil)
			if len(diags) != 1 {
				t.Fatalf("%d diagnostics: %v", len(diags), diags.Errs())
			}
			subject := *diags[0].Subject
			if got := string(subject.SliceBytes([]byte(src))); got != tc.word {
				t.Errorf("the range covers %q, want %q (%v)", got, tc.word, subject)
			}
			before := src[:strings.Index(src, tc.word)]
			line, column := strings.Count(before, "\n")+1, len(before)-strings.LastIndex(before, "\n")-tc.wide
			if start := subject.Start; start.Line != line || start.Column != column {
				t.Errorf("it begins at %d:%d, want %d:%d", start.Line, start.Column, line, column)
			}
			if subject.End.Line != subject.Start.Line || subject.End.Byte-subject.Start.Byte != len(tc.word) {
				t.Errorf("it ends at %v", subject.End)
			}
		})
	}
}

func TestJSONPositionsAreThoseOfTheFile(t *testing.T) {
	// HCL counts the unescaped line break as a new line of the file.
	src := `{"trusted": {"x": {"networks": "10.0.0.0/8", "comment": "a\nb ${local.nowhere}"}}}`
	_, diags, _ := config.LoadFS(tree(map[string]string{"rules.d/a.json": src}), "rules.d", kinds, nil)
	if len(diags) != 1 {
		t.Fatalf("%d diagnostics: %v", len(diags), diags.Errs())
	}
	if subject := diags[0].Subject; subject.Start.Line != 1 || subject.End.Line != 1 {
		t.Errorf("subject %v is not on the only line", subject)
	}
}

func TestPrintShowsNoValues(t *testing.T) {
	const secret = "hunter2"
	files := tree(map[string]string{"rules.d/a.hcl": `
locals { password = env("PASSWORD") }
trusted "x" { networks = "${local.password}${[]}" }
`})
	_, diags, sources := config.LoadFS(files, "rules.d", kinds, environment(map[string]string{"PASSWORD": secret}))
	if !diags.HasErrors() {
		t.Fatal("no error")
	}
	for _, color := range []bool{false, true} {
		var b strings.Builder
		if err := config.Print(&b, diags, sources, 80, color); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), secret) {
			t.Errorf("the password is printed:\n%s", b.String())
		}
	}
}

// FuzzLoad loads any bytes as a rule file of either syntax.
func FuzzLoad(f *testing.F) {
	for _, content := range archiveFiles(f) {
		f.Add([]byte(content))
	}
	f.Add([]byte(`{"source": {"log": {"a": {"corroborate": "sourcnone"}, "b": {"corroborate": "source[0].x"}}}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, name := range []string{"rules.d/a.hcl", "rules.d/a.json"} {
			files := map[string]string{name: string(src), "rules.d/site.hcl": site}
			cfg, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, environment(map[string]string{"SECRET": "hunter2"}))
			if (cfg == nil) != diags.HasErrors() {
				t.Fatalf("config %v, errors %t", cfg, diags.HasErrors())
			}
			if cfg != nil {
				diags = append(diags, config.Lint(cfg)...)
			}
			for _, diag := range diags {
				checkPosition(t, diag, sources)
			}
			if out := printed(t, diags, sources); strings.Contains(out, "hunter2") && !strings.Contains(string(src), "hunter2") {
				t.Fatalf("a value from the environment is printed:\n%s", out)
			}
		}
		if formatted, diags := config.Format("a.hcl", src); !diags.HasErrors() {
			if _, diags := config.Format("a.hcl", formatted); diags.HasErrors() {
				t.Fatalf("what was formatted does not parse: %v", diags)
			}
		}
	})
}

// checkPosition checks that a diagnostic points into its file.
func checkPosition(t *testing.T, diag *hcl.Diagnostic, sources config.Files) {
	t.Helper()
	s := diag.Subject
	switch {
	case s == nil:
		t.Fatalf("no position: %v", diag)
	case s.Filename == "" || s.Start.Line < 1:
		t.Fatalf("position %v: %v", s, diag)
	}
	if file := sources[s.Filename]; file != nil && (s.Start.Byte > len(file.Bytes) || s.End.Byte < s.Start.Byte) {
		t.Fatalf("position %v lies outside of %d bytes: %v", s, len(file.Bytes), diag)
	}
}

// TestWrittenSecretsAreNotPrinted writes a secret in every way and place, right and
// wrong, next to mistakes that are reported.
func TestWrittenSecretsAreNotPrinted(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"right name":          {"a.hcl": `source "esl" "a" { password = "hunter2${nothing}" }`},
		"misspelt name":       {"a.hcl": `source "esl" "a" { pasword = "hunter2" }`},
		"other name":          {"a.hcl": "source \"esl\" \"a\" {\n  adress = \"hunter2\"\n  address = nothing\n}"},
		"same line":           {"a.hcl": `source "esl" "a" { address = nothing } # hunter2`},
		"comment":             {"a.hcl": "source \"esl\" \"a\" {\n  address /* hunter2 */ = nothing\n}"},
		"no quotes":           {"a.hcl": `source "esl" "a" { password = hunter2 }`},
		"no quotes, function": {"a.hcl": `source "esl" "a" { password = hunter2() }`},
		"no quotes, path":     {"a.hcl": `source "esl" "a" { password = local.a.hunter2 }` + "\nlocals {\n  a = { b = 1 }\n}"},
		"no equals sign":      {"a.hcl": `source "esl" "a" { password "hunter2" }`},
		"single quotes":       {"a.hcl": `source "esl" "a" { password = 'hunter2' }`},
		"heredoc":             {"a.hcl": "source \"esl\" \"a\" {\n  password = <<E\nhunter2 ${nothing}\nE\n}"},
		"open quote":          {"a.hcl": "source \"esl\" \"a\" {\n  password = \"hunter2\n}\nrule \"r\" {}\n"},
		"open heredoc":        {"a.hcl": "source \"esl\" \"a\" {\n  password = <<E\nhunter2\n}\n"},
		"unfinished block":    {"a.hcl": "source \"esl\" \"a\" {\n  password = \"hunter2\"\n  address = nothing\n"},
		"unfinished before":   {"a.hcl": "rule \"r\" {\n  match = \"x\"\nsource \"esl\" \"a\" {\n  password = \"hunter2\"\n}\n"},
		"block in a rule":     {"a.hcl": "rule \"r\" {\n  match = \"x\"\n  source \"esl\" \"a\" {\n    password = \"a\"\n    password = \"hunter2\"\n  }\n}\n"},
		"attribute in a rule": {"a.hcl": "rule \"r\" {\n  match = \"x\"\n  password = \"hunter2\"\n}\n"},
		"in trusted":          {"a.hcl": `trusted "t" { token = "hunter2" }`},
		"no block":            {"a.hcl": "password = \"hunter2\"\ntrusted \"t\" {}\n"},
		"given twice":         {"a.hcl": "source \"esl\" \"a\" {\n  password = \"b\"\n  password = \"hunter2\"\n}"},
		"misspelt block":      {"a.hcl": `sourse "esl" "a" { password = "hunter2" }`},
		"list":                {"a.hcl": `source "esl" "a" { password = ["hunter2"] }`},
		"operator":            {"a.hcl": `source "esl" "a" { password = "hunter2" + 1 }`},
		"condition":           {"a.hcl": `source "esl" "a" { password = nothing ? "hunter2" : "" }`},
		"argument":            {"a.hcl": `source "esl" "a" { password = lower("hunter2", 1) }`},
		"directive":           {"a.hcl": `source "esl" "a" { password = "%{hunter2=1}" }`},
		"local":               {"a.hcl": "locals {\n  pw = \"hunter2${nothing}\"\n}"},
		"local, circular":     {"a.hcl": "locals {\n  pw = \"hunter2${local.pw}\"\n}"},
		"object":              {"a.hcl": "locals {\n  o = { token = \"hunter2\", b = nothing }\n}"},
		"URL":                 {"a.hcl": `action "webhook" "a" { url = "ftp://hooks.example/hunter2" }`},
		"token":               {"a.hcl": `admin { token = "hunter2" }`},
		"JSON":                {"a.json": `{"source": {"esl": {"a": {"password": "hunter2 ${nothing}"}}}, "trusted": {"t": {}}}`},
		"JSON, misspelt":      {"a.json": `{"source": {"esl": {"a": {"pasword": "hunter2"}}}}`},
		"JSON, no quotes":     {"a.json": `{"source": {"esl": {"a": {"password": hunter2}}}}`},
		"JSON, unfinished":    {"a.json": `{"source": {"esl": {"a": {"password": "hunter2"`},
		"JSON, template":      {"a.json": `{"source": {"esl": {"a": {"password": "${hunter2}"}}}}`},
		"JSON, local":         {"a.json": `{"locals": {"pw": "hunter2", "x": "${nothing}"}}`},
		"JSON, many lines":    {"a.json": "{\"trusted\": {\"t\": {\n  \"password\":\n    \"hunter2\"\n}}}"},
		"nested too deeply":   {"a.hcl": `source "esl" "a" { password = "hunter2" + ` + strings.Repeat("[", 2000)},
	} {
		in := map[string]string{}
		for name, content := range files {
			in["rules.d/"+name] = content
		}
		_, diags, sources := config.LoadFS(tree(in), "rules.d", kinds, nil)
		out := printed(t, diags, sources)
		if !diags.HasErrors() || strings.Contains(out, "hunter2") {
			t.Errorf("%s:\n%s", name, out)
		}
		if formatted, diags := config.Format("a.hcl", []byte(files["a.hcl"])); formatted == nil {
			out := printed(t, diags, config.Files{"a.hcl": {Bytes: []byte(files["a.hcl"])}})
			if strings.Contains(out, "hunter2") {
				t.Errorf("%s, formatted:\n%s", name, out)
			}
		}
	}
}
