package proposals

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/rule"
)

// A draft is HCL in the making. Foreign text in it stands in comments only.
type draft struct{ bytes.Buffer }

// comment writes a line of comment. The text may quote what callers wrote: it cannot
// end the line or an enclosing comment.
func (d *draft) comment(format string, args ...any) {
	text := strings.ReplaceAll(terminal.Printable(fmt.Sprintf(format, args...)), "*/", "* /")
	d.WriteString(strings.TrimRight("# "+text, " ") + "\n")
}

// comments writes reasons, each as a line of comment.
func (d *draft) comments(format string, reasons []string) {
	for _, reason := range reasons {
		d.comment(format, reason)
	}
}

func (d *draft) blank() { d.WriteString("\n") }

// Write writes findings as HCL to paste, with the reasons.
func Write(w io.Writer, f *learn.Findings, cfg *config.Config, days int) error {
	d := &draft{}
	if f.Events == 0 {
		d.comment("Nothing to learn from: no event was recorded.")
	} else {
		d.comment("Learned from %s, %s to %s UTC (%s).", terminal.Count(int(f.Events), "event"),
			f.From.UTC().Format(time.DateTime), f.To.UTC().Format(time.DateTime), terminal.About(f.To.Sub(f.From)))
	}
	d.comments("%s", cautions(f, days))
	d.blank()
	d.proposals(f)
	d.traffic(&f.Traffic, cfg, days)
	d.comment("What the rules would have done, and how close genuine addresses came to their thresholds.")
	var idle []string
	for i := range f.Rules {
		r := &f.Rules[i]
		if r.Caught == 0 && r.Bans+r.Alerts+r.Refusals+r.Already == 0 && r.Peak == 0 && r.Advice != learn.Lower {
			idle = append(idle, r.Spec.Name)
			continue
		}
		d.blank()
		d.rule(r, f, cfg)
	}
	if len(idle) > 0 {
		d.blank()
		d.comment("Did not fire, and counted no genuine address:")
		d.comments("  rule %q", idle)
	}
	formed, diags := config.Format("proposals.hcl", d.Bytes())
	if diags.HasErrors() {
		return fmt.Errorf("format the findings: %w", diags)
	}
	_, err := w.Write(formed)
	return err
}

// Summary returns lines to show beside the proposals.
func Summary(f *learn.Findings, days int) []string {
	sure := 0
	for _, p := range f.Proposals {
		if p.Sure {
			sure++
		}
	}
	return append([]string{
		fmt.Sprintf("learned from %s of %s: %d genuine, %d would be banned",
			terminal.Count(int(f.Events), "event"), terminal.Count(f.Addresses, "address"), f.Genuine, f.Attackers),
		fmt.Sprintf("%s to trust, %d to check", terminal.Count(sure, "proposal"), len(f.Proposals)-sure),
	}, cautions(f, days)...)
}

// cautions say how far the findings can be relied upon.
func cautions(f *learn.Findings, days int) []string {
	if f.Events == 0 {
		return nil
	}
	var all []string
	add := func(when bool, format string, args ...any) {
		if when {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(f.Short(), "The recording is short: %s without an incident prove nothing, and no threshold is lowered.", terminal.About(f.To.Sub(f.From)))
	add(f.Genuine == 0, "No registration is known: FreeSWITCH's log does not report them. Record the event socket, too.")
	add(f.Logged > 0, "Only a log reports the registrations of %s: callers can write lines of a log with uuid=true.", terminal.Count(f.Logged, "address"))
	add(f.Attackers > 0, "The recording holds attacks: %s would have been banned. Attackers can forge the sender of a failure, so that a genuine address seems to come close to a threshold.", terminal.Count(f.Attackers, "address"))
	add(f.Suspect > 0, "%s registered, and failed like guessers: not counted as genuine.", terminal.Count(f.Suspect, "address"))
	add(f.TooBrief > 0, "%s would be proposed if seen on %s (--days).", terminal.Count(f.TooBrief, "address"), terminal.Count(days, "day"))
	add(f.Trusted > 0, "%s would be proposed, but are trusted already.", terminal.Count(f.Trusted, "address"))
	add(f.Forgotten > 0, "There were more addresses than fit into memory: %d with little activity were dropped.", f.Forgotten)
	return all
}

// maxUncertain is how many uncertain proposals are shown: where a profile asks for no
// password, thousands of attackers can look like carriers.
const maxUncertain = 100

// proposals writes the addresses to trust.
func (d *draft) proposals(f *learn.Findings) {
	if len(f.Proposals) == 0 {
		d.comment("No address is proposed to be trusted.")
		d.blank()
	}
	uncertain := 0
	for i := range f.Proposals {
		p := &f.Proposals[i]
		if !p.Sure {
			uncertain++
		}
		if p.Sure || uncertain <= maxUncertain {
			d.proposal(p)
		}
	}
	if more := uncertain - maxUncertain; more > 0 {
		d.comment("And %d more uncertain ones.", more)
		d.blank()
	}
}

// proposal writes a block, as a comment if it is uncertain.
func (d *draft) proposal(p *learn.Proposal) {
	d.comments("For:     %s", p.For)
	d.comments("Against: %s", p.Against)
	mark := ""
	if !p.Sure {
		mark = "# "
		d.comment("Uncertain: use it only if you know the address.")
		d.comment("")
	}
	target := ban.Network(p.Network).String()
	fmt.Fprintf(d, "%[1]strusted \"%[2]s %[3]s\" {\n%[1]s  networks = [\"%[3]s\"]\n%[1]s  comment  = \"learned: seen on %[4]s\"\n%[1]s}\n\n",
		mark, p.Kind, target, terminal.Count(p.Days, "day"))
}

// maxVictims is how many victims of a rule are listed.
const maxVictims = 10

// rule writes what a rule would have done, and a threshold for it.
func (d *draft) rule(r *learn.RuleFinding, f *learn.Findings, cfg *config.Config) {
	d.comment("rule %q (%s)", r.Spec.Name, r.Spec.Where)
	d.comment("  %s, %s, %d refused, %d while banned already; it caught %s.", terminal.Count(r.Bans, "ban"), terminal.Count(r.Alerts, "alert"),
		r.Refusals, r.Already, terminal.Count(r.Caught, "address"))
	if len(r.Victims) > 0 {
		d.comment("  Of the addresses that it caught, or whose network it banned, these registered:")
	}
	for i := range r.Victims {
		if i == maxVictims {
			d.comment("    and %d more", len(r.Victims)-i)
			break
		}
		d.comment("    %s", victimText(&r.Victims[i]))
	}
	if r.Spec.BansAddresses() && r.Innocent() > 0 && f.Genuine > f.Logged && !cfg.Security.Protect.Registered {
		d.comment(`  security { protect = ["registered"] } spares addresses while they are registered.`)
	}
	if r.Peak > 0 {
		d.comment("  The highest count of %s that registered: %d, of %s at %s.",
			terminal.Count(r.Genuine, "address"), r.Peak, ban.Network(r.PeakOf).String(), r.PeakAt.UTC().Format(time.DateTime))
	} else if r.Genuine > 0 && r.Spec.Threshold != nil {
		d.comment("  It counted nothing of %s that registered.", terminal.Count(r.Genuine, "address"))
	}
	d.advice(r)
}

func victimText(v *learn.Victim) string {
	text := fmt.Sprintf("%s at %s", ban.Network(v.Network).String(), v.At.UTC().Format(time.DateTime))
	switch {
	case v.Neighbour:
		return text + fmt.Sprintf(", in a banned network; registered %s", terminal.Count(v.Before, "time"))
	case v.Times > 1:
		text += fmt.Sprintf(" and %s more", terminal.Count(v.Times-1, "time"))
	}
	text += fmt.Sprintf("; registered %s before and %s after", terminal.Count(v.Before, "time"), terminal.Count(v.After, "time"))
	if v.Spared {
		text += "; spared"
	}
	if v.Suspect {
		text += "; failed like a guesser"
	}
	return text
}

// advice writes what to do with the threshold.
func (d *draft) advice(r *learn.RuleFinding) {
	t := r.Spec.Threshold
	switch r.Advice {
	case learn.Shared:
		d.comment("  Its windows are per %s, and attackers filled them, too: no proposal for %s = %d.", t.Per, counter(t), t.Count)
	case learn.Hopeless:
		d.comment("  No count tells this from an attack: check the address before you raise %s = %d.", counter(t), t.Count)
	case learn.Keep:
		d.comment("  %s = %d is fine.", counter(t), t.Count)
	case learn.Raise:
		d.comment("  A genuine address came too close:")
		d.threshold(t, r.Count)
	case learn.Lower:
		d.comment("  No genuine address came close; it could be:")
		d.threshold(t, r.Count)
	}
}

// counter is the attribute of a threshold's count.
func counter(t *rule.Threshold) string {
	if t.Concurrent {
		return "concurrent"
	}
	return "count"
}

// threshold writes a threshold with another count.
func (d *draft) threshold(t *rule.Threshold, count int) {
	d.comment("")
	d.comment("  threshold {")
	d.comment("    %-6s = %d # now %d", counter(t), count, t.Count)
	if !t.Concurrent {
		d.comment("    within = %q", ban.FormatDuration(t.Within))
	}
	if t.Per.String() != "ip" {
		var parts []string
		for i := range t.Per {
			parts = append(parts, strconv.Quote(t.Per[i:i+1].String()))
		}
		d.comment("    per    = [%s]", strings.Join(parts, ", "))
	}
	if t.Distinct != "" {
		d.comment("    distinct = %q", t.Distinct)
	}
	if t.Then != nil {
		d.comment("    then = %q", t.Then.String())
	}
	d.comment("  }")
}
