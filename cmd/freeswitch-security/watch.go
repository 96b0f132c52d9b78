package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

func (a *app) watch() *cobra.Command {
	var r connFlags
	var standing, asJSON bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show verdicts as they happen",
		Long: `Show verdicts as they happen, one a line, until it is interrupted. It comes back
to a daemon that was restarted. What happened while it was away it has not seen,
and says so on standard error.

With --standing it also tells of wishes to ban who is banned already; with
--json each verdict is one object a line, as the daemon's API has it.

Exit status: 0 it was interrupted; 2 the daemon could not be asked.`,
		Example: "  freeswitch-security watch\n" +
			"  freeswitch-security watch --json | jq 'select(.kind==\"ban\")'",
		Args: cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		w := &watching{app: a, client: c, show: a.noticePrinter(asJSON)}
		err := w.run(ctx, standing)
		if ctx.Err() != nil {
			return nil // it is told to end in no other way
		}
		return err
	})
	r.flags(cmd)
	cmd.Flags().BoolVar(&standing, "standing", false, "also wishes to ban who is banned already")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

// A watching follows the verdicts of a daemon through its restarts.
type watching struct {
	app    *app
	client *client.Client
	show   func(*client.Notice) error

	failed error // of printing, which nothing mends
	away   bool
	pause  time.Duration // before it is tried again; 0: it was never let in
}

// The pause between two attempts doubles from the first to the last.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 15 * time.Second
)

// run ends where ctx does, where nobody takes what is printed, and where the
// daemon could not be asked the first time, or no longer wants to be.
func (w *watching) run(ctx context.Context, standing bool) error {
	for {
		err := w.client.Watch(ctx, standing, w.began, w.tell)
		var gone *client.Unreachable
		switch {
		case ctx.Err() != nil:
			return nil
		case w.failed != nil:
			return w.failed
		case w.pause == 0, !errors.As(err, &gone) && !busy(err):
			return err
		case !w.away:
			w.away = true
			w.app.say(fmt.Errorf("%w; trying again", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.pause):
		}
		w.pause = min(2*w.pause, lastPause)
	}
}

// busy reports whether the daemon said that it has no time now.
func busy(err error) bool {
	r, ok := errors.AsType[*client.Refusal](err)
	return ok && (r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable)
}

func (w *watching) began() {
	w.pause = firstPause
	if w.away {
		w.away = false
		w.app.say(errors.New("watching again; what happened meanwhile was not seen"))
	}
}

func (w *watching) tell(e client.Event) error {
	if e.Notice == nil {
		w.app.say(fmt.Errorf("%s not seen: they came too fast", count(e.Lost, "verdict")))
		return nil
	}
	w.failed = w.show(e.Notice)
	return w.failed
}

// noticePrinter returns what prints verdicts, for people as replay does.
func (a *app) noticePrinter(asJSON bool) func(*client.Notice) error {
	if asJSON {
		return func(n *client.Notice) error { return printObject(a.stdout, n) }
	}
	var row bytes.Buffer
	table := printTable(&row)
	return func(n *client.Notice) error {
		v := engine.Verdict{Time: n.Time, Kind: engine.VerdictKind(n.Kind), Target: targetOf(n.Target), Rule: n.Rule, Reason: n.Reason}
		if n.For != nil {
			v.Term, _ = ban.ParseTerm(*n.For) // none is shown that cannot be read
		}
		if n.Rule == "" {
			v.Rule = n.Author
		}
		if n.DryRun {
			v.Reason += " (nobody is blocked)"
		}
		row.Reset()
		if err := table(v); err != nil {
			return err
		}
		_, err := row.WriteTo(a.stdout)
		return err
	}
}

// targetOf reads the target of a verdict, which need not have one.
func targetOf(ip string) ban.Target {
	target, err := ban.ParseTarget(ip)
	if err != nil {
		return ban.Target{}
	}
	return target
}
