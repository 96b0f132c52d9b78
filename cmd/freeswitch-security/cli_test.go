package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

const cliReference = "CLI.md"

// TestCLIReference demands that CLI.md is what cobra writes about the verbs. -update writes it.
func TestCLIReference(t *testing.T) {
	var b bytes.Buffer
	link := func(file string) string {
		return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-")
	}
	var write func(*cobra.Command)
	write = func(cmd *cobra.Command) {
		cmd.DisableAutoGenTag = true // it has the date
		if err := doc.GenMarkdownCustom(cmd, &b, link); err != nil {
			t.Fatal(err)
		}
		for _, verb := range cmd.Commands() {
			write(verb)
		}
	}
	var a app
	write(a.root())
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
