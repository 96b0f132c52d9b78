package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
)

const eventReference = "../../engine/EVENTS.md"

// everySource declares one source of each kind, with its defaults.
const everySource = `
source "esl" "pbx" {}
source "log" "freeswitch" {}
source "feed" "list" { path = "list.txt" }
`

// TestEventReference demands that EVENTS.md is what the sources and the table of fields
// say. -update writes it.
func TestEventReference(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sources.hcl"), []byte(everySource), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var doc bytes.Buffer
	doc.WriteString("# Events and fields\n\nThis file is generated. The tables are in [event/vocabulary.go](event/vocabulary.go), [event/field.go](event/field.go) and in the sources.\n" +
		"`time` and `source` are set for every event. A source sets a field only if the report contains it.\n\n## Events\n\n| event | meaning | fields, by source |\n| --- | --- | --- |\n")
	meaning := map[string]string{}
	var order []string
	for _, w := range event.Vocabulary {
		meaning[w.Name] = w.Doc
		order = append(order, w.Name)
	}
	told := map[string][]string{}
	for _, s := range cfg.Sources {
		kind, _, _ := strings.Cut(s.Ref, ".")
		for _, e := range s.Source.Describe().Events {
			if _, known := meaning[e.Name]; !known {
				meaning[e.Name] = "only from source `" + kind + "`"
				order = append(order, e.Name)
			}
			fields := "`" + strings.Join(e.Fields, " ") + "`"
			for _, raw := range e.Raw {
				fields += fmt.Sprintf(" `fields[\"%s\"]`", raw)
			}
			if e.Open {
				fields += ", all headers of the event in `fields`"
			}
			told[e.Name] = append(told[e.Name], fmt.Sprintf("**%s**: %s", kind, fields))
		}
	}
	for _, name := range order {
		fmt.Fprintf(&doc, "| `%s` | %s | %s |\n", name, meaning[name], strings.Join(told[name], "<br>"))
	}
	doc.WriteString("\n## Fields\n\n| field | type | meaning | key of a window |\n| --- | --- | --- | --- |\n")
	for _, f := range event.Fields {
		key := "yes"
		if f.NoKey != "" {
			key = "no: " + f.NoKey
		}
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, f.Doc, key)
	}
	if *update {
		if err := os.WriteFile(eventReference, doc.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(eventReference)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, doc.Bytes()) {
		t.Errorf("%s is stale: go test ./cmd/freeswitch-security -run EventReference -update", eventReference)
	}
}
