package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"freeswitch-security/engine"
	"freeswitch-security/engine/event"

	"github.com/spf13/cobra"
)

func (a *app) replay() *cobra.Command {
	var rules, source, format string
	cmd := &cobra.Command{
		Use:   "replay [SOURCE=]FILE…",
		Short: "Run the rules over recorded logs and show whom they would block",
		Long: `Run the rules over recorded logs and show whom they would block, when, and why.
Nothing is blocked, and time is the recording's own. The files of one source are
one stream, in the order given; several sources are merged by time. A FILE may be
compressed with gzip; - is standard input.

With --format json each verdict is one object a line, and nothing else is on
standard output. Times are UTC.

Exit status: 0 all was read; 1 the rules have mistakes; 2 something could not be
read (what could be read was decided on).`,
		Example: "  freeswitch-security replay /var/log/freeswitch/freeswitch.log.1 /var/log/freeswitch/freeswitch.log\n" +
			"  freeswitch-security replay --format json log.freeswitch=freeswitch.log.gz | jq .target",
		Args: cobra.MinimumNArgs(1),
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
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	var show func(engine.Verdict) error
	switch format {
	case "text":
		show = printTable(out)
	case "json":
		show = printJSON(out)
	default:
		return fmt.Errorf("--format is text or json, not %q", format)
	}
	cfg, err := a.load(rules)
	if err != nil {
		return err
	}
	inputs, recordings, err := a.inputs(cfg, args, source)
	if err != nil {
		return err
	}

	sum := newSummary()
	var printing error // the first failure to print; it ends the replay
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := engine.New(cfg, nil, slog.New(slog.DiscardHandler), func(v engine.Verdict) {
		sum.verdict(v)
		if printing == nil {
			if printing = show(v); printing != nil {
				cancel()
			}
		}
	})
	done := a.progress(recordings)
	stats, err := e.Replay(ctx, inputs, func(ev *event.Event) { sum.event(ev) })
	done()
	if printing == nil {
		printing = out.Flush()
	}
	if printing != nil {
		return printing
	}
	sum.read(stats)
	if format == "text" {
		if err := sum.print(a.stdout); err != nil {
			return err
		}
	}
	return errors.Join(append(failures(recordings), err)...)
}

// failures lists what could not be read.
func failures(recordings []*recording) []error {
	var errs []error
	for _, r := range recordings {
		errs = append(errs, r.failed...)
	}
	return errs
}
