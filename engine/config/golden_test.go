package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestGolden loads each archive in testdata and compares the printed diagnostics. An
// archive holds the files, the environment in `env` and the expected output in `printed`,
// which is empty where there is no diagnostic.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files, env := map[string]string{}, map[string]string{}
			want := -1
			for i, file := range archive.Files {
				switch file.Name {
				case "printed":
					want = i
				case "env":
					for line := range strings.Lines(string(file.Data)) {
						key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
						env[key] = value
					}
				default:
					files[file.Name] = string(file.Data)
				}
			}
			if want < 0 {
				t.Fatal("the archive has no file named printed")
			}
			got := loadAndPrint(t, files, env)
			if *golden.Update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// loadAndPrint loads rules.d and prints its diagnostics. Where there is no error, those
// of Lint follow.
func loadAndPrint(t *testing.T, files, env map[string]string) string {
	t.Helper()
	cfg, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, environment(env))
	if (cfg == nil) != diags.HasErrors() {
		t.Errorf("config %v with errors %t", cfg, diags.HasErrors())
	}
	for _, diag := range diags {
		if diag.Subject == nil || diag.Expression != nil || diag.EvalContext != nil {
			t.Errorf("without a position, or with values: %+v", diag)
		}
	}
	if cfg != nil {
		diags = append(diags, config.Lint(cfg)...)
	}
	return printed(t, diags, sources)
}

// archiveFiles are the contents of all files in the golden archives.
func archiveFiles(t testing.TB) []string {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var contents []string
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".hcl") || strings.HasSuffix(file.Name, ".json") {
				contents = append(contents, string(file.Data))
			}
		}
	}
	return contents
}
