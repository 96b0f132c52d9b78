package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/proposals"
	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/plugin"

	"github.com/spf13/cobra"
)

func (a *app) learn() *cobra.Command {
	var rules, source string
	var days int
	cmd := &cobra.Command{
		Use:   "learn [SOURCE=]FILE…",
		Short: "Propose trust and thresholds from recordings of normal days",
		Long: `Read recordings of normal days and propose which addresses to trust, as carriers
or offices, and which accounts, as dialers; which countries are usual, how many
calls one account makes at once, and the hours of the site. For every rule, show
what it would have done, which addresses that registered it would have caught,
and a threshold that spares them. The output is HCL to paste, with the reasons
as comments. Files are read as by replay.

FreeSWITCH's log does not report registrations: that takes a recording of the
event socket, or event blocks for lines that do. An address that only fails, is
challenged, or calls without a password is never proposed except as a comment.

Exit status: 0 all files were read; 1 the rules have mistakes; 2 a file could
not be read (the output is from the rest).`,
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
	cmd.Flags().StringVar(&source, "source", "", "source of the files that name none")
	cmd.Flags().IntVar(&days, "days", learn.MinimumDays, "days on which a proposed address was seen")
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
	recorder := learn.New(learn.Options{Rules: cfg.Rules, Trusted: ban.NewTrust(cfg.Trusted), NAT64: cfg.Security.NAT64, Numbering: cfg.Numbering, Forgeable: forgeable(cfg), Days: days})
	e := engine.New(cfg, engine.Options{DryRun: true, Observed: recorder.Record, OnChange: recorder.Decided})
	read, err := set.Replay(ctx, e, nil, a.stderr)
	if err != nil {
		return err
	}
	findings := recorder.Conclude()
	out := bufio.NewWriter(a.stdout)
	if err := proposals.Write(out, findings, cfg, days); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, line := range proposals.Summary(findings, days) {
		a.say(errors.New(line))
	}
	return a.account(read)
}

// forgeable reports whether callers can write what a source reads.
func forgeable(cfg *config.Config) func(source string) bool {
	return func(source string) bool {
		return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == source && s.Description.Log })
	}
}

func (a *app) record() *cobra.Command {
	var rules, source string
	length, megabytes := time.Hour, 1000
	cmd := &cobra.Command{
		Use:   "record FILE",
		Short: "Record the event socket, for replay and learn",
		Long: `Write what the event socket of the rules reports into a new file, which
replay, diff and learn read; with the ending .gz it is compressed. It ends after
--for, at --size, or by ^C, with a whole report. Registrations and calls of
before are not in it. It has the accounts and numbers of callers, so the file is
for its owner alone. SIP on the wire is recorded with tcpdump -w FILE.pcap.

Exit status: 0 it is recorded; 1 the rules have mistakes; 2 it could not be
recorded, or the connection ended: what came before is in the file.`,
		Example: "  freeswitch-security record --for 12h monday.esl.gz\n  freeswitch-security replay esl.pbx=monday.esl.gz",
		Args:    one("FILE", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if megabytes < 1 {
				return fmt.Errorf("--size is 1 or more, not %d", megabytes)
			}
			cfg, err := a.load(rules)
			if err != nil {
				return err
			}
			ref, from, err := recorderOf(cfg, source)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), length, errRecorded)
			defer cancel()
			file := &recordingFile{left: int64(megabytes) << 20}
			if err := file.create(args[0]); err != nil {
				return err
			}
			err = from.Record(ctx, func() {
				a.say(fmt.Errorf("recording %s into %s; ^C ends it", ref, args[0]))
			}, file)
			if errors.Is(err, errRecorded) || cmd.Context().Err() != nil {
				err = nil
			}
			if err = cmp.Or(file.close(), err); err != nil && file.reports == 0 {
				return errors.Join(err, os.Remove(args[0])) // the next attempt may have its name
			}
			fmt.Fprintf(a.stdout, "%s in %s. Try: freeswitch-security replay %s=%s\n", terminal.Count(file.reports, "report"), terminal.Printable(args[0]), ref, terminal.Printable(args[0]))
			return err
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "which of several event sockets, such as esl.pbx")
	durationFlag(cmd, &length, "for", "how long; default: 1h")
	cmd.Flags().IntVar(&megabytes, "size", megabytes, "how many MB at most, before compression")
	return cmd
}

// recorderOf returns a source that can be recorded: the named one, else the only one.
func recorderOf(cfg *config.Config, named string) (ref string, r plugin.Recorder, err error) {
	found := map[string]plugin.Recorder{}
	for _, s := range cfg.Sources {
		if one, ok := s.Source.(plugin.Recorder); ok {
			found[s.Ref] = one
		}
	}
	refs := slices.Sorted(maps.Keys(found))
	switch {
	case named != "" && found[named] == nil:
		return "", nil, fmt.Errorf("source.%s is no event socket of the rules; there are: %s", named, strings.Join(refs, ", "))
	case named == "" && len(refs) != 1:
		return "", nil, fmt.Errorf("the rules have %s that can be recorded: name one with --source (%s)", terminal.Count(len(refs), "source"), strings.Join(refs, ", "))
	case named == "":
		named = refs[0]
	}
	return named, found[named], nil
}

// errRecorded ends a recording that is as long or as large as was asked for.
var errRecorded = errors.New("it is recorded")

// A recordingFile is a new file of whole reports.
type recordingFile struct {
	reports int
	left    int64 // bytes that it may still take
	file    *os.File
	out     *bufio.Writer
	packed  *gzip.Writer // nil: it is not compressed
}

// create makes the file, which must not exist.
func (f *recordingFile) create(path string) (err error) {
	if f.file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	f.out = bufio.NewWriter(f.file)
	if strings.HasSuffix(path, ".gz") {
		f.packed = gzip.NewWriter(f.out)
	}
	return nil
}

// Write takes one report.
func (f *recordingFile) Write(report []byte) (n int, err error) {
	if f.left -= int64(len(report)); f.left < 0 {
		return 0, errRecorded
	}
	f.reports++
	if f.packed != nil {
		return f.packed.Write(report)
	}
	return f.out.Write(report)
}

func (f *recordingFile) close() (err error) {
	if f.packed != nil {
		err = f.packed.Close()
	}
	return cmp.Or(err, f.out.Flush(), f.file.Close())
}
