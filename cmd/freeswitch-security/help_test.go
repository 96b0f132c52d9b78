package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHelpFitsAScreen measures what every verb says of itself.
func TestHelpFitsAScreen(t *testing.T) {
	const columns, lines = 80, 26
	var a app
	for _, verb := range a.root().Commands() {
		name := verb.Name()
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

// TestHelpNamesExitStatuses wants every verb that answers a question to say what
// its exit status means.
func TestHelpNamesExitStatuses(t *testing.T) {
	for _, verb := range []string{"", "check", "test", "fmt", "replay", "explain", "diff"} {
		stdout, _, _ := command(t, nil, strings.Fields(verb+" --help")...)
		for _, part := range []string{"Exit status: 0 ", " 1 ", " 2 "} {
			if !strings.Contains(strings.ReplaceAll(stdout, "\n", " "), part) {
				t.Errorf("%s --help lacks %q", verb, part)
			}
		}
	}
}
