package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const cliReference = "CLI.md"

// TestCLIReference demands that CLI.md is what the verbs say of themselves. -update writes it.
func TestCLIReference(t *testing.T) {
	var b strings.Builder
	section := func(level, name string, args ...string) {
		stdout, _, _ := command(t, nil, append(args, "--help")...)
		fmt.Fprintf(&b, "%s %s\n\n```\n%s\n```\n\n", level, name, strings.TrimSpace(stdout))
	}
	section("#", "freeswitch-security")
	var a app
	for _, verb := range a.root().Commands() {
		section("##", verb.Name(), verb.Name())
	}
	want := strings.TrimSpace(b.String()) + "\n"
	if *update {
		if err := os.WriteFile(cliReference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cliReference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: go test ./cmd/freeswitch-security -run CLIReference -update", cliReference)
	}
}
