package config_test

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

// TestTokenIsFetched: the expression of a token shows that the whole token comes from the
// environment or a file.
func TestTokenIsFetched(t *testing.T) {
	const locals = `locals {
  written = "hunter2-hunter2-hunter2"
  fetched = env("TOKEN")
}
`
	env := environment(map[string]string{"TOKEN": "0123456789abcdef"})
	for _, test := range []struct {
		token string // "": the file is JSON
		json  string
		good  bool
	}{
		{token: `env("TOKEN")`, good: true},
		{token: `file("token")`, good: true},
		{token: `trimspace(("${file("token")}"))`, good: true},
		{token: `env("NONE", file("token"))`, good: true},
		{json: `"${env(\"TOKEN\")}"`, good: true},
		{token: `"hunter2-hunter2-hunter2"`},
		{token: `local.written`},
		{token: `local.fetched`},
		{token: `trimspace("hunter2-hunter2-hunter2")`},
		{token: `env("TOKEN", "hunter2-hunter2-hunter2")`},
		{token: `env("TOKEN", local.written)`},
		{token: `env(["NONE", "hunter2-hunter2-hunter2"]...)`},
		{token: `format("hunter2-hunter2-%s", env("TOKEN"))`},
		{token: `"hunter2-${env("TOKEN")}"`},
		{token: `true ? "hunter2-hunter2-hunter2" : env("TOKEN")`},
		{json: `"hunter2-hunter2-hunter2"`},
		{json: `"${env(\"TOKEN\", \"hunter2-hunter2-hunter2\")}"`},
		{json: `1234567890123456`},
	} {
		files := map[string]string{"rules.d/token": "0123456789abcdef\n"}
		if test.token != "" {
			files["rules.d/a.hcl"] = locals + "admin {\n  token = " + test.token + "\n}\n"
		} else {
			files["rules.d/a.json"] = `{"admin": {"token": ` + test.json + `}}`
		}
		_, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, env)
		out := printed(t, diags, sources)
		if good := !diags.HasErrors(); good != test.good || !good && (len(diags) != 1 || diags[0].Summary != "Token in a rule file") {
			t.Errorf("%s%s:\n%s", test.token, test.json, out)
		}
		if strings.Contains(out, "hunter2") {
			t.Errorf("the token is printed:\n%s", out)
		}
	}
}
