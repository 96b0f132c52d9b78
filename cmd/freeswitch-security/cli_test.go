package main

import (
	"bytes"
	"errors"
	"freeswitch-security/engine/golden"
	"os"
	"path/filepath"
	"slices"
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
	golden.Compare(t, cliReference, strings.TrimSpace(b.String())+"\n")
}

// TestManPagesAndCompletions writes the manual pages, one for each verb, from what CLI.md is written
// from, and the completions of shells. $GENERATED is the directory that the packages take them from.
func TestManPagesAndCompletions(t *testing.T) {
	dir := os.Getenv("GENERATED")
	if dir == "" {
		dir = t.TempDir()
	}
	man := filepath.Join(dir, "man")
	if err := os.MkdirAll(man, 0o755); err != nil {
		t.Fatal(err)
	}
	var a app
	root := a.root()
	root.DisableAutoGenTag = true
	name := filepath.Join(dir, root.Name())
	if err := errors.Join(root.GenBashCompletionFileV2(name+".bash", true), root.GenZshCompletionFile(name+".zsh"), root.GenFishCompletionFile(name+".fish", true)); err != nil {
		t.Fatal(err)
	}
	header := &doc.GenManHeader{Section: "8", Source: "freeswitch-security", Manual: "freeswitch-security"}
	if err := doc.GenManTree(root, header, man); err != nil {
		t.Fatal(err)
	}
	for _, verb := range root.Commands() {
		if slices.Contains([]string{"completion", "help"}, verb.Name()) {
			continue
		}
		page, err := os.ReadFile(filepath.Join(man, "freeswitch-security-"+verb.Name()+".8"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), ".SH EXAMPLE") {
			t.Errorf("the page of %s lacks its example", verb.Name())
		}
	}
}
