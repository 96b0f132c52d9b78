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

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/spf13/cobra"
)

func (a *app) replay() *cobra.Command {
	var rules, source, format string
	var asRecorded bool
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

Exit status: 0 all was read; 1 the rules have mistakes; 2 something could not be
read (the rest was).`,
		Example: "  freeswitch-security replay freeswitch.log.1.gz freeswitch.log wire=today.pcap\n" +
			"  freeswitch-security replay --format json log.freeswitch=old.log | jq .target\n" +
			"  freeswitch-security replay sbc1=sbc1.log sbc2=sbc2.log",
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runReplay(cmd.Context(), rules, source, format, asRecorded, args)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "source of the files that name none")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	asRecordedFlag(cmd, &asRecorded)
	return cmd
}

func asRecordedFlag(cmd *cobra.Command, set *bool) {
	cmd.Flags().BoolVar(set, "as-recorded", false, "count the events of banned addresses, too")
}

func (a *app) runReplay(ctx context.Context, rules, source, format string, asRecorded bool, args []string) error {
	var held bytes.Buffer
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	if terminal.Width(a.stdout) > 0 && terminal.Width(a.stderr) > 0 {
		out.Reset(&held) // until the progress line is gone
	}
	show := terminal.Changes(out)
	switch format {
	case "text":
	case "json":
		show = func(c *ban.Change) error { return terminal.Object(out, c) }
	default:
		return fmt.Errorf("--format is text or json, not %q", format)
	}
	debug.SetGCPercent(1000) // the rules leave little garbage, and are soon read
	cfg, err := a.load(rules)
	debug.SetGCPercent(75) // 7 % less memory, in the same time
	if err != nil {
		return err
	}
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err != nil {
		return err
	}
	sum := summary{start: time.Now(), events: map[netip.Addr]int{}, rules: map[string]*ruleSum{}}
	var printing error // the first failure to print; it ends the replay
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := engine.New(cfg, engine.Options{AsRecorded: asRecorded, OnChange: func(c *ban.Change) {
		sum.change(c)
		if printing == nil {
			if printing = show(c); printing != nil {
				cancel()
			}
		}
	}})
	read, err := set.Replay(ctx, e, sum.event, a.stderr)
	if printing == nil {
		printing = out.Flush()
	}
	if printing == nil {
		_, printing = held.WriteTo(a.stdout)
	}
	if err := cmp.Or(printing, err); err != nil {
		return err
	}
	if format == "text" {
		if err := sum.print(a.stdout, read, set.Nodes()); err != nil {
			return err
		}
	}
	return a.account(read)
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
}

type ruleSum struct{ bans, alerts, refused int }

func (s *summary) event(ev *event.Event) {
	s.total++
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

func (s *summary) print(w io.Writer, read recording.Account, nodes []string) error {
	took := time.Since(s.start)
	var lines, bytes, doubted int64
	for _, one := range read.Stats {
		lines, bytes, doubted = lines+one.Lines, bytes+one.Bytes, doubted+one.Doubted
	}
	t := terminal.NewTable("")
	t.Row("lines", fmt.Sprint(lines), fmt.Sprintf("(%.1f MB, %.0f lines/s)", float64(bytes)/1e6, float64(lines)/took.Seconds()))
	t.Row("events", fmt.Sprint(s.total), "")
	if len(nodes) > 0 {
		t.Row("nodes", fmt.Sprint(len(nodes)), strings.Join(nodes, ", "))
	}
	if read.SetAside > 0 {
		t.Row("set aside", fmt.Sprint(read.SetAside), "events that would have been dropped; --as-recorded counts them")
	}
	if doubted > 0 {
		t.Row("doubted", fmt.Sprint(doubted), "lines that look like events, and may be forged")
	}
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if r := s.rules[name]; *r != (ruleSum{}) {
			t.Row(name, terminal.Count(r.bans, "ban"), fmt.Sprintf("%s, %d refused", terminal.Count(r.alerts, "alert"), r.refused))
		}
	}
	if s.standing > 0 {
		t.Row("while banned", fmt.Sprint(s.standing), "further matches from banned addresses")
	}
	busiest := slices.SortedFunc(maps.Keys(s.events), func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(s.events[b], s.events[a]), a.Compare(b))
	})
	for _, ip := range busiest[:min(topAddresses, len(busiest))] {
		t.Row("from "+ban.Address(ip).String(), terminal.Count(s.events[ip], "event"), "")
	}
	return t.Print(w, 0)
}
