package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/rule"
)

// A draft is HCL that is being written. What is not ours in it stands in comments.
type draft struct{ bytes.Buffer }

// comment writes a line of comment. The text may quote what callers wrote: it ends
// neither the line nor a comment around it.
func (d *draft) comment(format string, args ...any) {
	text := strings.TrimRight("# "+commentable(fmt.Sprintf(format, args...)), " ")
	d.WriteString(text + "\n")
}

// commentable makes a text harmless in a comment of either kind.
func commentable(s string) string { return strings.ReplaceAll(printable(s), "*/", "* /") }

// printFindings writes what was learned as HCL to paste, with its reasons.
func printFindings(w io.Writer, f *learn.Findings, cfg *config.Config, days int) error {
	d := &draft{}
	if f.Events == 0 {
		d.comment("There is nothing to learn from: no event was recorded.")
	} else {
		d.comment("Learned from %s, %s to %s UTC (%s).", count(int(f.Events), "event"),
			f.From.UTC().Format(time.DateTime), f.To.UTC().Format(time.DateTime), about(f.To.Sub(f.From)))
	}
	for _, caution := range cautions(f, days) {
		d.comment("%s", caution)
	}
	d.WriteString("\n")
	d.proposals(f)
	d.comment("What the rules would have done, and how near those came to them who registered well.")
	var idle []string
	for i := range f.Rules {
		r := &f.Rules[i]
		if r.Caught == 0 && r.Bans+r.Alerts+r.Refusals+r.Already == 0 && r.Peak == 0 && r.Advice != learn.Lower {
			idle = append(idle, r.Spec.Name)
			continue
		}
		d.WriteString("\n")
		d.rule(r, f, cfg)
	}
	if len(idle) > 0 {
		d.WriteString("\n")
		d.comment("Fired at nobody, and counted nothing of those who registered well:")
	}
	for _, name := range idle {
		d.comment("  rule %q", name)
	}
	formed, diags := config.Format("proposals.hcl", d.Bytes())
	if diags.HasErrors() {
		return fmt.Errorf("format what was learned: %w", diags)
	}
	_, err := w.Write(formed)
	return err
}

// cautions is what to bear in mind about a recording.
func cautions(f *learn.Findings, days int) []string {
	if f.Events == 0 {
		return nil
	}
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if f.Short() {
		add("The recording is short: what did not happen in %s proves nothing, and no threshold is lowered upon it.", about(f.To.Sub(f.From)))
	}
	if f.Well == 0 {
		add("Nobody is known to have registered well: FreeSWITCH's log does not tell. Record the event socket, too.")
	} else if f.Logged > 0 {
		add("That they registered well, only a log tells of %s: callers can write lines of a log with uuid=true.",
			countOf(f.Logged, "address", "addresses"))
	}
	if f.Attackers > 0 {
		add("There were attacks in it: %s would have been banned that did not register well. Attackers can forge the sender of a failure, so that somebody good seems to come near a threshold.",
			countOf(f.Attackers, "address", "addresses"))
	}
	if f.Doubtful > 0 {
		add("%s registered, and failed like somebody who guesses: not taken for good.", countOf(f.Doubtful, "address", "addresses"))
	}
	if f.TooBrief > 0 {
		add("%s would be proposed, had they been seen on %s (--days).", countOf(f.TooBrief, "address", "addresses"), count(days, "day"))
	}
	if f.Trusted > 0 {
		add("%s would be proposed and trusted already.", countOf(f.Trusted, "address is one that", "addresses are such that"))
	}
	if f.Forgotten > 0 {
		add("There were more addresses than are remembered: %d that did the least were forgotten.", f.Forgotten)
	}
	return all
}

// maxUncertain is how many are shown of whom a person must judge: where a profile
// asks for no password, attackers can look like carriers by the thousand.
const maxUncertain = 100

// proposals writes whom to trust.
func (d *draft) proposals(f *learn.Findings) {
	if len(f.Proposals) == 0 {
		d.comment("Nobody is proposed to be trusted.")
		d.WriteString("\n")
	}
	uncertain := 0
	for i := range f.Proposals {
		p := &f.Proposals[i]
		if !p.Sure {
			if uncertain++; uncertain > maxUncertain {
				continue
			}
		}
		d.proposal(p)
	}
	if more := uncertain - maxUncertain; more > 0 {
		d.comment("And %d more of whom it is not certain.", more)
		d.WriteString("\n")
	}
}

// proposal writes a block, as a comment where it is not certain.
func (d *draft) proposal(p *learn.Proposal) {
	for _, reason := range p.For {
		d.comment("For:     %s", reason)
	}
	for _, reason := range p.Against {
		d.comment("Against: %s", reason)
	}
	mark := ""
	if !p.Sure {
		mark = "# "
		d.comment("Not certain: take it only if you know the address.")
		d.comment("")
	}
	target := ban.FormatTarget(p.Network)
	fmt.Fprintf(d, "%strusted \"%s %s\" {\n", mark, p.Kind, target)
	fmt.Fprintf(d, "%s  networks = [\"%s\"]\n", mark, target)
	fmt.Fprintf(d, "%s  comment  = \"learned: seen on %s\"\n", mark, count(p.Days, "day"))
	fmt.Fprintf(d, "%s}\n\n", mark)
}

// maxVictims is how many of those that a rule caught are named.
const maxVictims = 10

// rule writes what a rule would have done, and the threshold for it.
func (d *draft) rule(r *learn.RuleFinding, f *learn.Findings, cfg *config.Config) {
	d.comment("rule %q (%s)", r.Spec.Name, r.Spec.Where)
	d.comment("  %s, %s, %d refused, %d while banned already; it caught %s.", count(r.Bans, "ban"), count(r.Alerts, "alert"),
		r.Refusals, r.Already, countOf(r.Caught, "address", "addresses"))
	if len(r.Victims) > 0 {
		d.comment("  Of those that it caught, or banned with their neighbours, these had registered, or did so later:")
	}
	for i, v := range r.Victims {
		if i == maxVictims {
			d.comment("    and %d more", len(r.Victims)-i)
			break
		}
		d.comment("    %s", victimText(&v))
	}
	if r.Spec.Ban != nil && r.Innocent() > 0 && f.Well > f.Logged && !cfg.Security.Protect.Registered {
		d.comment(`  security { protect = ["registered"] } spares addresses while they are registered.`)
	}
	if r.Peak > 0 {
		d.comment("  The highest count of %s that registered well: %d, of %s at %s.",
			countOf(r.Good, "address", "addresses"), r.Peak, ban.FormatTarget(r.PeakOf), r.PeakAt.UTC().Format(time.DateTime))
	} else if r.Good > 0 && r.Spec.Threshold != nil {
		d.comment("  It counted nothing of %s that registered well.", countOf(r.Good, "address", "addresses"))
	}
	d.threshold(r)
}

func victimText(v *learn.Victim) string {
	text := fmt.Sprintf("%s at %s", ban.FormatTarget(v.Network), v.At.UTC().Format(time.DateTime))
	switch {
	case v.Neighbour:
		return text + fmt.Sprintf(", in a network that was banned; registered %s", times(v.Before))
	case v.Times > 1:
		text += fmt.Sprintf(" and %s more", times(v.Times-1))
	}
	text += fmt.Sprintf("; registered %s before and %s after", times(v.Before), times(v.After))
	if v.Spared {
		text += "; spared"
	}
	if v.Doubtful {
		text += "; failed like somebody who guesses"
	}
	return text
}

// threshold writes the threshold that is proposed beside the present one.
func (d *draft) threshold(r *learn.RuleFinding) {
	t := r.Spec.Threshold
	switch r.Advice {
	case learn.NoThreshold, learn.Unknown:
		return
	case learn.Shared:
		d.comment("  Its windows are per %s, and attackers filled them, too: nothing is proposed for count = %d.", t.Per, t.Count)
		return
	case learn.Hopeless:
		d.comment("  No count tells that from an attack: look at the address before count = %d is raised.", t.Count)
		return
	case learn.Keep:
		d.comment("  count = %d may stay.", t.Count)
		return
	case learn.Raise:
		d.comment("  Somebody good came too near:")
	case learn.Lower:
		d.comment("  Nobody good came near; it might be:")
	}
	d.comment("")
	d.comment("  threshold {")
	d.comment("    count  = %d # %d at present", r.Count, t.Count)
	d.comment("    within = %q", ban.FormatDuration(t.Within))
	if per := t.Per.String(); per != "ip" {
		d.comment("    per    = %s", perText(t.Per))
	}
	if t.Distinct != "" {
		d.comment("    distinct = %q", t.Distinct)
	}
	if t.Then != nil {
		d.comment("    then = %q", t.Then.String())
	}
	d.comment("  }")
}

// perText writes a key as it stands in a rule.
func perText(key rule.Key) string {
	if len(key) == 1 || key.String() == "user@domain" {
		return strconv.Quote(key.String())
	}
	var parts []string
	for i := range key {
		parts = append(parts, strconv.Quote(key[i:i+1].String()))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// countOf is [count] for a thing with a plural of its own.
func countOf(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func times(n int) string { return count(n, "time") }
