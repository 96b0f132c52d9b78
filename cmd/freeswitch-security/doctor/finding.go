package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"freeswitch-security/cmd/freeswitch-security/terminal"
)

// A Severity says how bad a finding is.
type Severity string

const (
	critical Severity = "critical" // open to attack, or not protected
	warning  Severity = "warning"  // easier to attack, or harder to protect, than necessary
	info     Severity = "info"     // worth knowing
	healthy  Severity = "ok"
)

// severities are in the order in which findings are shown.
var severities = []Severity{critical, warning, info, healthy}

// A Finding is one fact about the switch, the rules or the host.
type Finding struct {
	Severity Severity `json:"severity"`
	What     string   `json:"what"` // bounded; escaped when it is shown
	Why      string   `json:"why"`  // it matters, in one line; "" if healthy
	Fix      string   `json:"fix"`  // lines to write or to run; "" if healthy
}

// report adds a finding.
func (x *exam) report(s Severity, what, why, fix string) {
	x.found = append(x.found, Finding{s, what, why, fix})
}

func (x *exam) ok(format string, args ...any) {
	x.report(healthy, fmt.Sprintf(format, args...), "", "")
}

// IsCritical reports whether one of the findings is critical.
func IsCritical(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Severity == critical })
}

var styles = map[Severity]terminal.Style{critical: terminal.Red, warning: terminal.Yellow, info: terminal.Cyan, healthy: terminal.Green}

// Print writes the findings, for people, in colour if it is wanted, or as one JSON object.
func Print(w io.Writer, found []Finding, asJSON, colour bool) error {
	counts := map[Severity]int{}
	var out strings.Builder
	for _, f := range found {
		counts[f.Severity]++
		label := fmt.Sprintf("%-8s", strings.ToUpper(string(f.Severity)))
		fmt.Fprintf(&out, "%s  %s\n", terminal.Paint(colour, styles[f.Severity], label), terminal.Printable(f.What))
		indent(&out, "Why: ", f.Why)
		indent(&out, "Fix: ", f.Fix)
	}
	if asJSON {
		return terminal.Object(w, struct {
			Critical int       `json:"critical"`
			Warnings int       `json:"warnings"`
			Findings []Finding `json:"findings"`
		}{counts[critical], counts[warning], found})
	}
	_, err := fmt.Fprintf(w, "%s\n%d critical, %s, %d info, %d ok.\n", out.String(),
		counts[critical], terminal.Count(counts[warning], "warning"), counts[info], counts[healthy])
	return err
}

// indent writes lines below a finding, each under the first.
func indent(out *strings.Builder, label, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(out, "%10s%s%s\n", "", label, terminal.Printable(line))
		label = strings.Repeat(" ", len(label))
	}
}
