package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/hugepage"
	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/report"

	"github.com/spf13/cobra"
)

func (a *app) replay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay [NODE=][SOURCE=]FILE…",
		Short: "Show the bans of the rules on recorded logs",
		Long: `Run the rules over recorded logs and show their bans, with time and reason.
No action runs, and time is that of the recording. What a ban would have dropped
does not count, from 100 ms after its beginning on. The files of a log are one
stream, oldest first. Recordings of an event socket, and captures of SIP (pcap,
pcapng, HEP), can be in any order; those made at the same time count as one.
Several sources are merged by time. A FILE may be gzipped; - is standard input.
With NODE= they are of the nodes of a fleet, which share bans and counts.
With --format json each change is one object a line. Times are UTC.

Exit status: 0 all was read; 1 mistakes in the rules; 2 not all could be read.`,
		Example: "  freeswitch-security replay freeswitch.log.1.gz freeswitch.log wire=today.pcap\n" +
			"  freeswitch-security replay --format json log.freeswitch=old.log | jq .target\n" +
			"  freeswitch-security replay --report night.html sbc1=sbc1.log sbc2=sbc2.log",
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runReplay(cmd.Context(), &f, args)
		},
	}
	cmd.Flags().StringVar(&f.rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&f.source, "source", "", "source of the files that name none")
	cmd.Flags().StringVar(&f.format, "format", "text", "text or json")
	cmd.Flags().StringVar(&f.report, "report", "", "write a page to this `FILE`, as HTML")
	asRecordedFlag(cmd, &f.asRecorded)
	return cmd
}

type replayFlags struct {
	rules, source, format, report string
	asRecorded                    bool
}

func asRecordedFlag(cmd *cobra.Command, set *bool) {
	cmd.Flags().BoolVar(set, "as-recorded", false, "count the events of banned addresses, too")
}

// firstEvents is how many events are counted before there is much to keep.
const firstEvents = 10_000

func (a *app) runReplay(ctx context.Context, f *replayFlags, args []string) error {
	var held bytes.Buffer
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	if terminal.Width(a.stdout) > 0 && terminal.Width(a.stderr) > 0 {
		out.Reset(&held) // until the progress line is gone
	}
	show := terminal.Changes(out)
	switch f.format {
	case "text":
	case "json":
		show = func(c *ban.Change) error { return terminal.Object(out, c) }
	default:
		return fmt.Errorf("--format is text or json, not %q", f.format)
	}
	debug.SetGCPercent(1000)        // the rules leave little garbage, and are soon read
	hugepage.Grow[[16 << 20]byte]() // about what the rules and the blocks of a log take
	cfg, err := a.load(f.rules)
	debug.SetGCPercent(200) // at first there is little to keep: with 60, garbage would be collected every few milliseconds
	if err != nil {
		return err
	}
	set, err := recording.Open(ctx, cfg, a.stdin, args, f.source)
	if err != nil {
		return err
	}
	sum := summary{start: time.Now(), events: map[netip.Addr]int{}, rules: map[string]*ruleSum{}}
	if f.report != "" {
		sum.past = history.Recorded(history.Settings{Days: replayDays, Masked: cfg.History.Masked})
		sum.past.SetPlaces(cfg.PlaceOf)
	}
	var printing error // the first failure to print; it ends the replay
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := engine.New(cfg, engine.Options{AsRecorded: f.asRecorded, OnChange: func(c *ban.Change) {
		sum.change(c)
		if printing == nil {
			if printing = show(c); printing != nil {
				cancel()
			}
		}
	}})
	read, err := set.Replay(ctx, e, func(ev *event.Event) {
		if sum.event(ev); sum.total == firstEvents {
			debug.SetGCPercent(60) // 3 MB less than with 75, and 5 % more time
		}
	}, a.stderr)
	if printing == nil {
		printing = out.Flush()
	}
	if printing == nil {
		_, printing = held.WriteTo(a.stdout)
	}
	if err := cmp.Or(printing, err); err != nil {
		return err
	}
	if err := a.conclude(f, args, &sum, read, set.Nodes()); err != nil {
		return err
	}
	return a.account(read)
}

// conclude shows the sum of a replay.
func (a *app) conclude(f *replayFlags, args []string, sum *summary, read recording.Account, nodes []string) error {
	if f.format == "text" {
		if err := sum.print(a.stdout, read, nodes); err != nil {
			return err
		}
	}
	if f.report == "" {
		return nil
	}
	return sum.report(f.report, args, read, nodes)
}

// account prints the notes of a replay. It fails if something could not be read.
func (a *app) account(read recording.Account) error {
	for _, note := range read.Notes {
		a.say(note)
	}
	return read.Unread
}

// A summary counts the events and changes of a replay.
type summary struct {
	start    time.Time
	total    int                // events
	events   map[netip.Addr]int // by address; lower bounds after [summary.thin]
	rules    map[string]*ruleSum
	standing int // orders against banned targets

	past        *history.History // of a report; nil: none is wanted
	first, last time.Time        // event
}

// replayDays is how much of recordings a report shows.
const replayDays = 3650

type ruleSum struct{ bans, alerts, refused int }

func (s *summary) event(ev *event.Event) {
	s.total++
	if s.past != nil {
		if s.past.Observe(ev); s.first.IsZero() {
			s.first = ev.Time
		}
		s.last = ev.Time
	}
	if ev.IP.IsValid() {
		s.events[ev.IP]++
	}
	if len(s.events) > maxCounted {
		s.thin()
	}
}

// maxCounted bounds the addresses whose events are counted.
const maxCounted = 100_000

// thin removes the least busy addresses, at least half of all. A busy one is soon counted again.
func (s *summary) thin() {
	for least := 1; len(s.events) > maxCounted/2; least *= 2 {
		maps.DeleteFunc(s.events, func(_ netip.Addr, n int) bool { return n <= least })
	}
}

func (s *summary) change(c *ban.Change) {
	if s.past != nil {
		s.past.Decide(c)
	}
	r := s.rules[c.Rule]
	if r == nil {
		r = &ruleSum{}
		s.rules[c.Rule] = r
	}
	switch {
	case c.InForce():
		r.bans++
	case c.Kind == ban.KindAlert:
		r.alerts++
	case c.Standing:
		s.standing++
	case c.Kind == ban.KindRefuse, c.Kind == ban.KindSpare:
		r.refused++
	}
}

// topAddresses is the number of addresses with the most events that are shown.
const topAddresses = 5

// facts are what was read.
func (s *summary) facts(read recording.Account, nodes []string) (facts []report.Fact) {
	took := time.Since(s.start)
	var lines, bytes, doubted int64
	for _, one := range read.Stats {
		lines, bytes, doubted = lines+one.Lines, bytes+one.Bytes, doubted+one.Doubted
	}
	add := func(name string, n any, remark string) {
		facts = append(facts, report.Fact{Name: name, Value: fmt.Sprint(n), Remark: remark})
	}
	add("lines", lines, fmt.Sprintf("(%.1f MB, %.0f lines/s)", float64(bytes)/1e6, float64(lines)/took.Seconds()))
	add("events", s.total, "")
	if len(nodes) > 0 {
		add("nodes", len(nodes), strings.Join(nodes, ", "))
	}
	if read.SetAside > 0 {
		add("set aside", read.SetAside, "events that would have been dropped; --as-recorded counts them")
	}
	if doubted > 0 {
		add("doubted", doubted, "lines that look like events, and may be forged")
	}
	return facts
}

// whileBanned are the orders against banned targets.
func (s *summary) whileBanned() report.Fact {
	return report.Fact{Name: "while banned", Value: fmt.Sprint(s.standing), Remark: "further matches from banned addresses"}
}

func (s *summary) print(w io.Writer, read recording.Account, nodes []string) error {
	t := terminal.NewTable("")
	for _, f := range s.facts(read, nodes) {
		t.Row(f.Name, f.Value, f.Remark)
	}
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if r := s.rules[name]; *r != (ruleSum{}) {
			t.Row(name, terminal.Count(r.bans, "ban"), fmt.Sprintf("%s, %d refused", terminal.Count(r.alerts, "alert"), r.refused))
		}
	}
	if s.standing > 0 {
		f := s.whileBanned()
		t.Row(f.Name, f.Value, f.Remark)
	}
	busiest := slices.SortedFunc(maps.Keys(s.events), func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(s.events[b], s.events[a]), a.Compare(b))
	})
	for _, ip := range busiest[:min(topAddresses, len(busiest))] {
		t.Row("from "+ban.Address(ip).String(), terminal.Count(s.events[ip], "event"), "")
	}
	return t.Print(w, 0)
}

// report writes a page about the replay.
func (s *summary) report(path string, files []string, read recording.Account, nodes []string) error {
	if s.first.IsZero() { // there is no event
		s.first, s.last = s.start, s.start
	}
	span, err := s.past.Between(s.first, s.last.Add(1), 0)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	title := files[0]
	if len(files) > 1 {
		title = fmt.Sprintf("%d recordings", len(files))
	}
	r := report.Report{Title: title, Recorded: true, Span: span, Incidents: s.past.Incidents(s.first), Facts: append(s.facts(read, nodes), s.whileBanned())}
	return writeReport(path, &r)
}
