package admin

import (
	"bytes"
	"fmt"
	"freeswitch-security/engine/golden"
	"strings"
	"testing"
)

// TestMetricsDocument compares METRICS.md with the table of metrics.
// `go test ./engine/admin -run MetricsDocument -update` writes it.
func TestMetricsDocument(t *testing.T) {
	var doc bytes.Buffer
	doc.WriteString("# Metrics\n\n`GET /metrics` serves these in Prometheus' text format, beside those of the Go runtime and the process.\n" +
		"This file is generated; [families.go](families.go) has the table.\n\n| metric | type | labels | |\n| --- | --- | --- | --- |\n")
	for _, m := range Metrics() {
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), strings.ReplaceAll(m.Help, "|", `\|`))
	}
	golden.Compare(t, "METRICS.md", doc.String())
}
