package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// enoughMistakes is how many mistakes of operators there are at least.
const enoughMistakes = 60

// TestMistakes loads each archive in testdata/mistakes: a mistake as an operator makes it, in files
// beside the shipped site file, and what `check` prints of it, in the file named printed. -update
// writes that.
func TestMistakes(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(archives) < enoughMistakes {
		t.Fatalf("%d mistakes of operators, want %d: %v", len(archives), enoughMistakes, err)
	}
	shipped := fstest.MapFS{}
	for _, name := range []string{"rules.d/00-site.hcl", "rules.d/05-sources.hcl"} {
		src, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		shipped[name] = &fstest.MapFile{Data: src}
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "printed" {
				t.Fatal("the last file of the archive is not named printed")
			}
			got := checked(t, shipped, archive.Files[:len(archive.Files)-1])
			if len(got) == 0 {
				t.Fatal("nothing is said of the mistake")
			}
			if *golden.Update {
				last.Data = got
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(last.Data), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// checked is what `check` prints of files beside the shipped ones, in 100 columns.
func checked(t *testing.T, shipped fstest.MapFS, own []txtar.File) []byte {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, file := range shipped {
		fsys[name] = file
	}
	for _, file := range own {
		if file.Name == "rules.d/00-site.hcl" {
			clear(fsys)
		}
	}
	for _, file := range own {
		fsys[file.Name] = &fstest.MapFile{Data: file.Data}
	}
	cfg, diags, files := config.LoadFS(fsys, "rules.d", kinds, func(string) (string, bool) { return "", false })
	if cfg != nil {
		diags = append(diags, config.Lint(cfg)...)
	}
	var printed bytes.Buffer
	if err := config.Print(&printed, diags, files, 100, false); err != nil {
		t.Fatal(err)
	}
	return printed.Bytes()
}
