package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
)

const eventReference = "../../engine/EVENTS.md"

// everySource declares one source of each kind, with its defaults. A journal reports what a log
// does.
const everySource = `
source "esl" "pbx" {}
source "log" "freeswitch" {}
source "sip" "wire" {}
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
	var events, raw bytes.Buffer
	for _, w := range event.Vocabulary {
		fmt.Fprintf(&events, "| `%s` | %s |", w.Name, w.Doc)
		for _, s := range cfg.Sources {
			kind, _, _ := strings.Cut(s.Ref, ".")
			all := s.Source.Describe().Events
			i := slices.IndexFunc(all, func(e plugin.EventSpec) bool { return e.Name == w.Name })
			if i < 0 {
				events.WriteString(" |")
				continue
			}
			e := all[i]
			fmt.Fprintf(&events, " `%s` |", strings.Join(e.Fields, " "))
			if len(e.Raw) > 0 || e.Open {
				fmt.Fprintf(&raw, "| `%s` | %s | `%s`%s |\n", e.Name, kind, strings.Join(e.Raw, " "), map[bool]string{true: ", and every other header"}[e.Open])
			}
		}
		events.WriteString("\n")
	}
	var doc bytes.Buffer
	doc.WriteString("# Events and fields\n\nThis file is generated. The tables are in [event/vocabulary.go](event/vocabulary.go), [event/field.go](event/field.go) and in the sources.\n" +
		"Every event has `time`, `source` and `event`. A source sets a field only if the report contains it.\n\n" +
		"## Events\n\n| event | meaning | fields from `esl` | from `log` and `journal` | from `sip` | from `feed` |\n| --- | --- | --- | --- | --- | --- |\n")
	doc.Write(events.Bytes())
	doc.WriteString("\n## Raw fields\n\nRaw fields are read as `fields[\"name\"]`. Those of `esl` are the headers of FreeSWITCH's events; a `journal` has those of a `log`.\n\n| event | source | raw fields |\n| --- | --- | --- |\n")
	doc.Write(raw.Bytes())
	doc.WriteString("\n## Fields\n\n| field | type | meaning | key of a window |\n| --- | --- | --- | --- |\n")
	for _, f := range event.Fields {
		key := "yes"
		if f.NoKey != "" {
			key = "no: " + f.NoKey
		}
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, f.Doc, key)
	}
	golden.Compare(t, eventReference, doc.String())
}
