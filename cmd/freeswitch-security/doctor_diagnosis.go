package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A gravity says how bad a diagnosis is.
type gravity string

const (
	critical gravity = "critical" // open to attack, or not guarded
	warning  gravity = "warning"  // easier to attack, or harder to guard, than need be
	info     gravity = "info"     // worth knowing
	healthy  gravity = "ok"
)

// gravities are in the order in which they are shown.
var gravities = []gravity{critical, warning, info, healthy}

// A diagnosis is one thing that was found.
type diagnosis struct {
	Severity gravity `json:"severity"`
	What     string  `json:"what"` // bounded, and escaped where it is shown
	Why      string  `json:"why"`  // it matters, in one line; "" where all is well
	Fix      string  `json:"fix"`  // lines to write or to run; "" where all is well
}

// diagnoses says what is wrong, the worst first.
func (x *exam) diagnoses(ctx context.Context) []diagnosis {
	found := slices.Concat(x.ofRules(), x.ofSocket(), x.ofVersion(), x.ofClock(), x.ofProfiles(), x.ofLog(), x.ofActions(ctx), x.ofAdmin(), x.ofHost())
	slices.SortStableFunc(found, func(a, b diagnosis) int {
		return slices.Index(gravities, a.Severity) - slices.Index(gravities, b.Severity)
	})
	return found
}

// ofRules tells what the rules lack for the doctor to look.
func (x *exam) ofRules() []diagnosis {
	switch {
	case x.noRules != nil:
		return []diagnosis{{warning, x.noRules.Error(),
			"without rules nothing is guarded; the switch was looked for at FreeSWITCH's own address",
			"freeswitch-security doctor --rules DIR"}}
	case x.ref == "":
		return []diagnosis{{warning, "the rules have no source of kind esl",
			"the event socket needs no setting of the switch, and callers cannot forge what it reports; a log they can",
			"source \"esl\" \"pbx\" {\n  address  = \"127.0.0.1:8021\"\n  password = env(\"ESL_PASSWORD\")\n}"}}
	}
	return nil
}

// prescribe writes the diagnoses, for people or as one JSON object.
func (a *app) prescribe(found []diagnosis, asJSON bool) error {
	counts := map[gravity]int{}
	for _, d := range found {
		counts[d.Severity]++
	}
	if asJSON {
		return printObject(a.stdout, struct {
			Critical int         `json:"critical"`
			Warnings int         `json:"warnings"`
			Findings []diagnosis `json:"findings"`
		}{counts[critical], counts[warning], found})
	}
	var out strings.Builder
	for _, d := range found {
		fmt.Fprintf(&out, "%-8s  %s\n", strings.ToUpper(string(d.Severity)), printable(d.What))
		indented(&out, "Why: ", d.Why)
		indented(&out, "Fix: ", d.Fix)
	}
	fmt.Fprintf(&out, "\n%d critical, %s, %d worth knowing, %d well.\n",
		counts[critical], count(counts[warning], "warning"), counts[info], counts[healthy])
	_, err := fmt.Fprint(a.stdout, out.String())
	return err
}

// indented writes lines below a diagnosis, each under the first.
func indented(out *strings.Builder, label, text string) {
	const margin = 10
	if text == "" {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		fmt.Fprintf(out, "%*s%s%s\n", margin, "", label, printable(line))
	}
}
