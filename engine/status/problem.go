package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Severity says how bad a problem is.
type Severity string

const (
	// Critical: attacks are not seen, or bans are not enforced.
	Critical Severity = "critical"
	// Warning: anything else that wants the attention of the operator.
	Warning Severity = "warning"
	// Info: worth knowing; it degrades nothing.
	Info Severity = "info"
	// OK is the severity of no problem.
	OK Severity = "ok"
)

// severities are in the order in which problems are listed.
var severities = []Severity{Critical, Warning, Info, OK}

// BySeverity compares two problems: the worse one comes first.
func BySeverity(a, b Problem) int {
	return cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity))
}

// A Problem is one reason why not all is well.
type Problem struct {
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // "source log.freeswitch", "action iptables.drop", "state", "rules"
	Text     string   `json:"text"`    // "open /var/log/freeswitch/freeswitch.log: no such file or directory"
}

func (p Problem) String() string { return p.Subject + ": " + p.Text }

// Texts returns the texts of the problems of one severity.
func Texts(problems []Problem, s Severity) (texts []string) {
	for _, p := range problems {
		if p.Severity == s {
			texts = append(texts, p.Text)
		}
	}
	return texts
}

// Worst returns the highest severity of problems; OK if they are worth knowing at most.
func Worst(problems []Problem) Severity {
	worst := Problem{Severity: Info}
	for _, p := range problems {
		if BySeverity(p, worst) < 0 {
			worst = p
		}
	}
	if worst.Severity == Info {
		return OK
	}
	return worst.Severity
}

// Problems lists what is wrong with an engine and with what the kernel enforces for
// it, the worst first.
func Problems(s *Status, kernels []Kernel) List[Problem] {
	var all List[Problem]
	add := func(severity Severity, kind, name, text string) {
		p := Problem{severity, kind + name, text}
		told := func(o Problem) bool { // an apply and a look at the kernel report the same, one of them with what it did
			return o.Severity == severity && o.Subject == p.Subject && strings.HasSuffix(": "+o.Text, ": "+text)
		}
		if text != "" && !slices.ContainsFunc(all, told) {
			all = append(all, p)
		}
	}
	for _, source := range s.Sources {
		add(Critical, "source ", source.Name, source.Fault)
		for _, p := range source.Problems {
			add(p.Severity, "source ", source.Name, p.Text)
		}
		if !source.Running && source.Fault == "" {
			add(Critical, "source ", source.Name, "not running")
		}
	}
	for _, action := range s.Actions {
		add(Critical, "action ", action.Name, action.Error)
		if !action.Synced && action.Error == "" && !s.DryRun {
			add(Critical, "action ", action.Name, "not synced with the bans yet")
		}
		for _, p := range action.Problems {
			add(p.Severity, "action ", action.Name, p.Text)
		}
	}
	if s.Fleet != nil {
		for _, p := range s.Fleet.Problems {
			add(p.Severity, "fleet", "", p.Text)
		}
	}
	for _, d := range s.GeoIP {
		if text := d.Path + ": " + d.Error; d.Error == "" {
			continue
		} else if d.Built != "" {
			add(Warning, "geoip", "", text+"; the database of "+d.Built+" is still in use")
		} else {
			add(Warning, "geoip", "", text+"; the fields that it gives are empty")
		}
	}
	for _, text := range s.Names {
		add(Warning, "trusted", "", text)
	}
	for _, kernel := range kernels {
		for _, p := range kernel.Problems {
			add(p.Severity, p.Subject, "", p.Text)
		}
	}
	add(Warning, "state", "", prefixed("not saved: ", s.State.Error))
	add(Warning, "state", "", prefixed("damaged at the start, bans were taken over from the kernel: ", s.State.Damage))
	for _, r := range s.Rules {
		if r.BrakeFactor > 1 {
			add(Warning, "rule ", r.Name, fmt.Sprintf("its brake is used up: very many sources attack, or senders are forged; a new target is banned when it has reached the threshold %d times", r.BrakeFactor))
		}
	}
	add(Warning, "rules", "", prefixed("not reloaded: ", s.Reload.Error))
	if len(s.Sources) == 0 {
		add(Warning, "sources", "", "no attack is seen: the rule files declare no source")
	}
	switch {
	case s.DryRun:
		add(Warning, "dry run", "", "no ban is enforced")
	case !slices.ContainsFunc(kernels, func(k Kernel) bool { return k.Drops() }):
		add(Warning, "actions", "", "no ban of an address is enforced: no action writes to the kernel")
	}
	if !s.AutoBlock {
		add(Warning, "security", "", "bans of rules are not enforced: auto_block_enabled is false")
	}
	slices.SortStableFunc(all, BySeverity)
	return all
}

// prefixed puts words before a text that may be missing.
func prefixed(words, text string) string {
	if text == "" {
		return ""
	}
	return words + text
}
