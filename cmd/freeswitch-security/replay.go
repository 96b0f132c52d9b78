package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/spf13/cobra"
)

func (a *app) replay() *cobra.Command {
	var rules, source, format string
	cmd := &cobra.Command{
		Use:   "replay [SOURCE=]FILE…",
		Short: "Run the rules over recorded logs and show whom they would block",
		Long: `Run the rules over recorded logs and show whom they would block, when, and why.
Nothing is blocked, and time is the recording's own. The files of a log are one
stream, in the order given, oldest first. Recordings of an event socket may be
given in any order; those made at the same time, one of its events and one of
its log records, count as one. Several sources are merged by time. A FILE may be
compressed with gzip; - is standard input.

With --format json each verdict is one object a line, and nothing else is on
standard output. Times are UTC.

Exit status: 0 all was read; 1 the rules have mistakes; 2 something could not be
read (what could be read was decided on).`,
		Example: "  freeswitch-security replay freeswitch.log.1.gz freeswitch.log\n" +
			"  freeswitch-security replay --format json log.freeswitch=old.log | jq .target",
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runReplay(cmd.Context(), rules, source, format, args)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "source that wrote the files which name none")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func (a *app) runReplay(ctx context.Context, rules, source, format string, args []string) error {
	var held bytes.Buffer
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	if width(a.stdout) > 0 && width(a.stderr) > 0 {
		out.Reset(&held) // the progress bar would wipe out what is printed meanwhile
	}
	show, err := printer(format, out)
	if err != nil {
		return err
	}
	cfg, err := a.load(rules)
	if err != nil {
		return err
	}
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err != nil {
		return err
	}

	sum := newSummary()
	var printing error // the first failure to print; it ends the replay
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) {
		sum.change(c)
		if printing == nil {
			if printing = show(c); printing != nil {
				cancel()
			}
		}
	}})
	read, err := set.Replay(ctx, e, func(ev *event.Event) { sum.event(ev) }, a.stderr)
	if printing == nil {
		printing = out.Flush()
	}
	if printing == nil {
		_, printing = held.WriteTo(a.stdout)
	}
	if printing != nil {
		return printing
	}
	if err != nil {
		return err
	}
	sum.read(read.Stats)
	if format == "text" {
		if err := sum.print(a.stdout); err != nil {
			return err
		}
	}
	return a.account(read)
}

// printer returns what prints verdicts in the named format.
func printer(format string, w io.Writer) (func(*ban.Change) error, error) {
	switch format {
	case "text":
		return printTable(w), nil
	case "json":
		return printJSON(w), nil
	}
	return nil, fmt.Errorf("--format is text or json, not %q", format)
}

// account says what a replay could not use. It fails if something could not be read.
func (a *app) account(read recording.Account) error {
	for _, note := range read.Notes {
		a.say(note)
	}
	return read.Unread
}
