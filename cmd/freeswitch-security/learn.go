package main

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/corroboration"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/plugin"

	"github.com/spf13/cobra"
)

func (a *app) learn() *cobra.Command {
	var rules, source string
	var days int
	cmd := &cobra.Command{
		Use:   "learn [SOURCE=]FILE…",
		Short: "Propose from recordings of normal days whom to trust, and thresholds",
		Long: `Read recordings of normal days and propose which addresses look like carriers
and offices (to trust) and, for every rule, what it would have done, whom of
those who registered well it would have caught, and a threshold that leaves them
alone. It is HCL to paste, with the reasons. Files are read as by replay.

FreeSWITCH's log does not tell who registered: that takes a recording of the
event socket, or event blocks for lines that do. Whoever only fails, is
challenged, or calls without a password is never proposed but as a comment.

Exit status: 0 all was read; 1 the rules have mistakes; 2 something could not be
read (the rest was learned from).`,
		Example: "  freeswitch-security learn freeswitch.log.1 freeswitch.log > proposals.hcl\n" +
			"  freeswitch-security learn --days 5 esl.pbx=week.esl log.freeswitch=week.log",
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 {
				return fmt.Errorf("--days is 1 or more, not %d", days)
			}
			return a.runLearn(cmd.Context(), rules, source, days, args)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "source that wrote the files which name none")
	cmd.Flags().IntVar(&days, "days", learn.MinimumDays, "days on which who is proposed was seen")
	return cmd
}

func (a *app) runLearn(ctx context.Context, rules, source string, days int, args []string) error {
	cfg, err := a.load(rules)
	if err != nil {
		return err
	}
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err != nil {
		return err
	}
	set.Want(learn.Events...)
	notes := learn.New(learn.Options{Rules: cfg.Rules, Trusted: ban.NewTrust(cfg.Trusted), Forgeable: forgeable(cfg), Days: days})
	believed := believing(cfg, notes.Note)
	e := engine.New(cfg, engine.Options{DryRun: true, Tell: func(v engine.Verdict) {
		if c, ok := catchOf(v); ok {
			notes.Caught(c)
		}
	}})
	read, err := set.Replay(ctx, e, believed.take, a.stderr)
	believed.end()
	if err != nil {
		return err
	}
	findings := notes.Conclude()
	out := bufio.NewWriter(a.stdout)
	if err := printFindings(out, findings, cfg, days); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	a.sayLearned(findings, days)
	return a.account(read)
}

// forgeable tells which sources read what callers can write into.
func forgeable(cfg *config.Config) func(source string) bool {
	logs := map[string]bool{}
	for _, s := range cfg.Sources {
		_, logs[s.Ref] = s.Source.(plugin.Doubter)
	}
	return func(source string) bool { return logs[source] }
}

// catchOf is what a rule's verdict means to those who learn; ok is false where it
// is not a rule's, or only the end of a ban.
func catchOf(v engine.Verdict) (c learn.Catch, ok bool) {
	c = learn.Catch{Rule: v.Rule, At: v.Time, Target: v.Target}
	if len(v.Evidence) > 0 {
		c.Address = v.Evidence[len(v.Evidence)-1].IP // of the event that fired
	}
	switch {
	case v.Kind == engine.Ban:
		c.Outcome = learn.Banned
	case v.Kind == engine.Alert:
		c.Outcome = learn.Alerted
	case v.Kind == engine.Refused && v.Standing:
		c.Outcome = learn.Already
	case v.Kind == engine.Refused:
		c.Outcome = learn.Refused
	}
	return c, v.Author == ban.ByRule && v.Kind != engine.Unban
}

// A believer hands on the events that the rules get to see: those of a log that
// is corroborated only once its witness has reported the same.
type believer struct {
	verifier *corroboration.Verifier
	now      time.Time
	pass     func(*event.Event)
}

func believing(cfg *config.Config, pass func(*event.Event)) *believer {
	var pairs []corroboration.Pair
	corroborated := map[string]bool{}
	for _, s := range cfg.Sources {
		if doubter, ok := s.Source.(plugin.Doubter); ok {
			if witness, _ := doubter.Witness(); witness != "" {
				pairs = append(pairs, corroboration.Pair{Log: s.Ref, Witness: witness})
				corroborated[s.Ref] = true
			}
		}
	}
	b := &believer{verifier: corroboration.New(pairs)}
	b.pass = func(ev *event.Event) {
		// Where the witness's recording ends first, what it did not report is
		// no forgery; the verifier of a replay knows when that is, this one does not.
		if ev.Name != event.LogForgery || !corroborated[ev.Source] {
			pass(ev)
		}
	}
	return b
}

func (b *believer) take(ev *event.Event) {
	if ev.Time.After(b.now) {
		b.now = ev.Time
	}
	b.verifier.Advance(b.now, b.pass)
	b.verifier.Take(ev, b.now, b.pass)
}

func (b *believer) end() { b.verifier.End(b.pass) }

// sayLearned sums up on standard error, beside proposals that go into a file.
func (a *app) sayLearned(f *learn.Findings, days int) {
	sure := 0
	for _, p := range f.Proposals {
		if p.Sure {
			sure++
		}
	}
	say := func(format string, args ...any) { a.say(fmt.Errorf(format, args...)) }
	say("learned from %s of %s: %d registered well, of the others %d would be banned",
		count(int(f.Events), "event"), countOf(f.Addresses, "address", "addresses"), f.Well, f.Attackers)
	say("%s to trust, %d to be looked at", count(sure, "proposal"), len(f.Proposals)-sure)
	for _, caution := range cautions(f, days) {
		say("%s", caution)
	}
}
