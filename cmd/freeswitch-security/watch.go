package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

func (a *app) watch() *cobra.Command {
	var r connFlags
	var standing, asJSON bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show changes as they happen",
		Long: `Show bans, refusals, alerts and other changes as they happen, one a line, until
it is interrupted. It connects again to a daemon that was restarted, and says on
standard error that it missed the changes in between.

With --standing it also shows refused orders against targets that are banned;
with --json each change is one object a line, as the API has it.

Exit status: 0 it was interrupted; 2 the daemon could not be asked.`,
		Example: "  freeswitch-security watch\n" +
			"  freeswitch-security watch --json | jq 'select(.kind==\"ban\")'",
		Args: cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		w := &watching{app: a, client: c, show: a.changePrinter(asJSON)}
		err := w.run(ctx, standing)
		if ctx.Err() != nil {
			return nil // an interrupt is the regular end
		}
		return err
	})
	r.flags(cmd)
	cmd.Flags().BoolVar(&standing, "standing", false, "also refused orders against banned targets")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

// A watching follows the changes of a daemon through its restarts.
type watching struct {
	app    *app
	client *client.Client
	show   func(*ban.Change) error

	failed error // of printing; it ends the verb
	away   bool
	pause  time.Duration // before the next attempt; 0: it was never connected
}

// The pause between two attempts doubles from the first to the last.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 15 * time.Second
)

// run ends with ctx, after an error of printing, and after a refusal of the daemon. It
// retries when the daemon was reached before and is gone.
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

// busy reports whether the daemon refused a request because it is busy.
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
	if e.Change == nil {
		w.app.say(fmt.Errorf("%s not seen: they came too fast", terminal.Count(e.Lost, "change")))
		return nil
	}
	w.failed = w.show(e.Change)
	return w.failed
}

// changePrinter returns what prints changes: as replay does, or as JSON.
func (a *app) changePrinter(asJSON bool) func(*ban.Change) error {
	if asJSON {
		return func(c *ban.Change) error { return terminal.Object(a.stdout, c) }
	}
	table := terminal.Changes(a.stdout)
	return func(c *ban.Change) error {
		c.Standing = false // it was asked for
		if c.Rule == "" {
			c.Rule = c.Author
		}
		if c.DryRun {
			c.Ban.Reason += " (nothing is blocked)"
		}
		return table(c)
	}
}
