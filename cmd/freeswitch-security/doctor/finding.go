package doctor

import (
	"context"
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

// findings judges the facts, the worst first.
func (x *exam) findings(ctx context.Context) []Finding {
	found := slices.Concat(x.ofRules(), x.ofSocket(), x.ofVersion(), x.ofClock(), x.ofProfiles(), x.ofLog(), x.ofActions(ctx), x.ofAdmin(), x.ofHost())
	slices.SortStableFunc(found, func(a, b Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	return found
}

// IsCritical reports whether one of the findings is critical.
func IsCritical(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Severity == critical })
}

// ofRules tells what the rules lack for the doctor to look.
func (x *exam) ofRules() []Finding {
	switch {
	case x.noRules != nil:
		return []Finding{{warning, x.noRules.Error(),
			"without rules nothing is guarded; the switch was looked for at FreeSWITCH's own address",
			"freeswitch-security doctor --rules DIR"}}
	case x.ref == "":
		return []Finding{{warning, "the rules have no source of kind esl",
			"the event socket needs no setting of the switch, and callers cannot forge what it reports; a log they can",
			"source \"esl\" \"pbx\" {\n  address  = \"127.0.0.1:8021\"\n  password = env(\"ESL_PASSWORD\")\n}"}}
	}
	return nil
}

// Print writes the findings, for people or as one JSON object.
func Print(w io.Writer, found []Finding, asJSON bool) error {
	counts := map[Severity]int{}
	for _, f := range found {
		counts[f.Severity]++
	}
	if asJSON {
		return terminal.Object(w, struct {
			Critical int       `json:"critical"`
			Warnings int       `json:"warnings"`
			Findings []Finding `json:"findings"`
		}{counts[critical], counts[warning], found})
	}
	var out strings.Builder
	for _, f := range found {
		fmt.Fprintf(&out, "%-8s  %s\n", strings.ToUpper(string(f.Severity)), terminal.Printable(f.What))
		indent(&out, "Why: ", f.Why)
		indent(&out, "Fix: ", f.Fix)
	}
	fmt.Fprintf(&out, "\n%d critical, %s, %d info, %d ok.\n",
		counts[critical], terminal.Count(counts[warning], "warning"), counts[info], counts[healthy])
	_, err := io.WriteString(w, out.String())
	return err
}

// indent writes lines below a finding, each under the first.
func indent(out *strings.Builder, label, text string) {
	const margin = 10
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(out, "%*s%s%s\n", margin, "", label, terminal.Printable(line))
		label = strings.Repeat(" ", len(label))
	}
}
