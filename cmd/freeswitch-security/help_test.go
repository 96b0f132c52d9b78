package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHelpFitsAScreen measures the help of every verb, but for completion, which is cobra's.
func TestHelpFitsAScreen(t *testing.T) {
	const columns, lines = 80, 26
	var a app
	for _, verb := range a.root().Commands() {
		name := verb.Name()
		if name == "completion" {
			continue
		}
		stdout, stderr, status := command(t, nil, name, "--help")
		if status != exitYes || stderr != "" {
			t.Fatalf("%s --help: exit status %d, %s", name, status, stderr)
		}
		if n := strings.Count(stdout, "\n"); n > lines {
			t.Errorf("%s --help has %d lines", name, n)
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("%s --help: %d columns: %s", name, n, line)
			}
		}
		for _, part := range []string{"Usage:", "Examples:\n  freeswitch-security ", "-h, --help"} {
			if !strings.Contains(stdout, part) {
				t.Errorf("%s --help lacks %q", name, part)
			}
		}
	}
}

// TestHelpNamesExitStatuses demands that every verb says what its exit statuses mean, and if it
// asks the daemon, how it reaches it.
func TestHelpNamesExitStatuses(t *testing.T) {
	var a app
	for _, verb := range a.root().Commands() {
		if slices.Contains([]string{"help", "version", "completion"}, verb.Name()) {
			continue
		}
		stdout, _, _ := command(t, nil, verb.Name(), "--help")
		parts := []string{"Exit status: 0 ", " 2 "}
		if asks := verb.Flags().Lookup("admin") != nil; asks {
			parts = append(parts, "--admin URL", "--token-file FILE")
		} else {
			parts = append(parts, " 1 ")
		}
		for _, part := range parts {
			if !strings.Contains(strings.ReplaceAll(stdout, "\n", " "), part) {
				t.Errorf("%s --help lacks %q", verb.Name(), part)
			}
		}
		if strings.Contains(stdout, "--token ") {
			t.Errorf("%s takes a token in a flag, which every user of the host can read", verb.Name())
		}
	}
}
