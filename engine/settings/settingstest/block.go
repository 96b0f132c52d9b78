// Package settingstest makes blocks of rule files for the tests of plugins.
package settingstest

import (
	"strings"
	"testing"

	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
)

// Block parses what stands between the braces of a block; of a file whose name ends in
// .json, with them. Its expressions may refer to the variables.
func Block(t testing.TB, filename, body string, variables map[string]string) *settings.Block {
	t.Helper()
	parse := hclsyntax.ParseConfig
	if strings.HasSuffix(filename, ".json") {
		parse = json.ParseWithStartPos
	}
	file, diags := parse([]byte(body), filename, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	eval := &hcl.EvalContext{Variables: map[string]cty.Value{}}
	for name, value := range variables {
		eval.Variables[name] = cty.StringVal(value)
	}
	return settings.New(file.Body, file.Body.MissingItemRange(), eval)
}

// Made returns what a plugin makes of a body, and the diagnostics. It is the zero value if there are mistakes.
func Made[T any](t testing.TB, read func(*settings.Block) T, body string, variables map[string]string) (made T, diags hcl.Diagnostics) {
	t.Helper()
	b := Block(t, "site.hcl", body, variables)
	one := read(b)
	if b.Done(); !b.Failed() {
		made = one
	}
	return made, b.Diagnostics()
}

// Differ checks that a body has the same fingerprint each time it is read, and each of
// the other bodies another one.
func Differ[T any](t testing.TB, read func(*settings.Block) T, body string, others ...string) {
	t.Helper()
	fingerprint := func(body string) settings.Fingerprint {
		b := Block(t, "a.hcl", body, nil)
		if read(b); !b.Done() || b.Failed() {
			t.Fatalf("%s: %v", body, b.Diagnostics())
		}
		return b.Fingerprint()
	}
	first := fingerprint(body)
	if fingerprint(body) != first {
		t.Errorf("%s: the fingerprint changes", body)
	}
	for _, other := range others {
		if fingerprint(other) == first {
			t.Errorf("%s has the fingerprint of %s", other, body)
		}
	}
}
