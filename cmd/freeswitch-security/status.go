package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

func (a *app) status() *cobra.Command {
	var r connFlags
	var asJSON, nagios bool
	t := thresholds{10 * time.Second, time.Minute}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the problems, sources, actions and last bans of the daemon",
		Long: `Show the problems of the daemon, how far its sources are behind, whether its
bans are in force, which drift was repaired, and the last bans.

With --nagios it is one line with perfdata, and the exit status is that of a
plugin: 0 OK, 1 WARNING, 2 CRITICAL (attacks are not seen, bans are not in
force, the daemon does not answer), 3 UNKNOWN (no permission to ask).

Exit status: 0 no problem; 1 there are problems; 2 the request failed.`,
		Example: "  freeswitch-security status\n  freeswitch-security status --nagios --critical-lag 5m",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if nagios {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, pluginTime)
			defer cancel()
		}
		h, err := a.health(ctx, r)
		switch {
		case cmd.Context().Err() != nil:
			return recording.ErrInterrupted
		case nagios:
			return a.nagios(h, t, err)
		case err != nil:
			return err
		case asJSON:
			err = terminal.Object(a.stdout, h)
		default:
			err = a.report(h, t, time.Now())
		}
		if err == nil && status.Worst(h.problems(t)) != status.OK {
			return errNo
		}
		return err
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	cmd.Flags().BoolVar(&nagios, "nagios", false, "as a plugin of Nagios")
	durationFlag(cmd, &t.warning, "warning-lag", "lag that is a warning; default: 10s")
	durationFlag(cmd, &t.critical, "critical-lag", "lag that is critical; default: 1m")
	return cmd
}

func (a *app) health(ctx context.Context, r connFlags) (health, error) {
	c, err := a.client(r)
	if err != nil {
		return health{}, err
	}
	return examine(ctx, c)
}

// report prints the health.
func (a *app) report(h health, t thresholds, now time.Time) error {
	paint := painter(a.colour(a.stdout))
	problems := h.problems(t)
	verdict := status.Worst(problems)
	fmt.Fprintf(a.stdout, "freeswitch-security %s, up %s: %s\n", terminal.Printable(h.Version), terminal.About(now.Sub(h.Started)), paint(verdict, string(verdict)))
	for _, p := range problems {
		mark := "!"
		if p.Severity == status.Info {
			mark = "-"
		}
		fmt.Fprintf(a.stdout, "  %s %s\n", paint(p.Severity, mark), terminal.Printable(p.String()))
	}
	fmt.Fprintln(a.stdout)
	if err := h.figures(a.stdout, now); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "\nLast bans:")
	table := terminal.NewTable("TARGET", "BANNED", "UNTIL", "RULE", "REASON")
	for _, b := range h.LastBans {
		table.Row(b.Target.String(), terminal.Ago(b.Start, now), terminal.Until(b.Until, now), cmp.Or(b.Rule, b.Author), b.Reason)
	}
	return a.table(table, "none")
}

// painter colours a text by severity, where colours are wanted.
func painter(wanted bool) func(status.Severity, string) string {
	styles := map[status.Severity]terminal.Style{status.OK: terminal.Green, status.Info: terminal.Cyan, status.Warning: terminal.Yellow, status.Critical: terminal.Red}
	return func(s status.Severity, text string) string { return terminal.Paint(wanted, styles[s], text) }
}

// figures shows numbers, a line for each source and each action.
func (h *health) figures(w io.Writer, now time.Time) error {
	t := &terminal.Table{}
	say := t.Say
	s := &h.Stats
	if last := terminal.Ago(s.LastBan, now); h.DryRun {
		say("bans", "would have banned %d, the last one %s", s.ActiveBans, last)
	} else {
		say("bans", "%d in force, last ban %s; %s packets dropped", s.ActiveBans, last, orUnknown(s.DroppedPackets))
	}
	say("trusted", "%s", terminal.Count(s.TrustedNetworks, "network"))
	say("rules", "%d, loaded %s", len(h.Rules), terminal.Ago(h.Reload.At, now))
	say("events", "%d%s%s, %d waiting", s.Events, some(", %d lost", s.Lost), some(", %d set aside: the bans would have dropped their packets", s.SetAside), h.QueueDepth)
	if k := s.Known; k != (status.Known{}) {
		say("registrations", "%d%s%s%s%s", k.Registrations, some(", %d evicted", k.Evicted), some("; %d hosts with a call or login in 24h", uint64(k.Dialogues)), some("; %d accounts with a history", uint64(k.Accounts)), some("; %d gateway addresses beyond the limit", k.GatewaysRefused))
	}
	if c := s.Corroborated; c != (status.Corroborated{}) {
		say("corroborated", "%d confirmed, %d forged, %d unheard", c.Confirmed, c.Forged, c.Unheard)
	}
	for _, source := range h.Sources {
		say("source "+source.Name, "%s", sourceLine(&source, now))
	}
	for _, action := range h.Actions {
		line := actionLine(&action, now)
		if h.DryRun && action.Error == "" {
			line = "not used in a dry run"
		}
		say("action "+action.Name, "%s", line)
	}
	if h.Fleet != nil {
		sayFleet(say, h.Fleet, now)
	}
	for _, k := range h.kernels() {
		switch {
		case k.Count == nil:
			say("kernel "+k.Action, "not known: it could not be read")
		case k.Chain == "":
			say("bans "+k.Action, "%s", terminal.Count(*k.Count, "ban"))
		default:
			say("kernel "+k.Action, "%s in chain %s", terminal.Count(*k.Count, "ban"), k.Chain)
		}
	}
	return t.Print(w, 0)
}

// some writes a number into a format; nothing where it is zero.
func some(format string, n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func sourceLine(s *status.Source, now time.Time) string {
	state := "running"
	switch {
	case !s.Running:
		state = "not running"
	case s.Fault != "":
		state = "cannot be read"
	}
	line := fmt.Sprintf("%s, %d lines, %d events, last event %s", state, s.Lines, s.Events, terminal.Ago(s.LastEvent, now))
	if s.Lag >= 1 || s.Behind > 0 {
		line += fmt.Sprintf(", %s and %d bytes behind", terminal.About(s.Lag.Duration()), s.Behind)
	}
	line += some(", %d lost", s.Lost) + some(", %d not sent on", s.Unsent) + some(", %d doubted", s.Doubted)
	if s.Connects > 1 {
		line += fmt.Sprintf(", %d connects", s.Connects)
	}
	return line + some(", restarts of the switch: %d", s.Restarts)
}

func actionLine(a *status.Action, now time.Time) string {
	if d := a.Delivery; d != nil && a.Error == "" {
		line := fmt.Sprintf("%d delivered", d.Delivered)
		if d.Waiting > 0 {
			line += fmt.Sprintf(", %d waiting, the oldest of %s", d.Waiting, terminal.Ago(d.Since, now))
		}
		return line + some(", failed attempts: %d", d.Failed) + some(", %d dropped", d.Dropped)
	}
	line := "in force"
	switch {
	case a.Error != "":
		line = "failed " + terminal.Count(a.Failures, "time")
	case !a.Synced:
		line = "not in force yet"
	}
	line += ", last change " + terminal.Ago(a.LastApply.At, now) + some(", %d waiting", uint64(a.Waiting)) + some(", drift repaired: %d", a.Drift.Count)
	if len(a.Drift.Notes) > 0 {
		line += " (" + strings.Join(a.Drift.Notes, ", ") + ")"
	}
	return line
}

// mostPeers is how many peers of a fleet are shown: those that were not heard for the longest time.
const mostPeers = 20

// sayFleet shows a line for the fleet, and one for each peer.
func sayFleet(say func(string, string, ...any), f *status.Fleet, now time.Time) {
	state := "joined"
	switch {
	case f.Server == "":
		state = "no server, goes on by itself"
	case !f.Joined:
		state = "not joined yet"
	}
	line := state
	if f.Server != "" {
		line += " at " + f.Server
	}
	say("fleet node "+f.Node, "%s; %s, %s%s%s%s", line, terminal.Count(len(f.Peers), "peer"), terminal.Count(f.Records, "decision"),
		some(", %d not sent yet", uint64(f.Unsent)), some(", %d not in force here", uint64(f.Refused)), some(", %d messages not sent", f.Dropped))
	for i := range f.Notices {
		if n := &f.Notices[i]; n.Told+n.Dropped+n.Taken+n.Refused > 0 {
			say("fleet "+n.Kind, "%s told, %d taken%s%s%s", terminal.Count(int(n.Told), "notice"), n.Taken,
				some(", %d dropped", n.Dropped), some(", %d missed", n.Missed), some(", %d refused", n.Refused))
		}
	}
	if r := &f.Firings; r.Node+r.Late+r.Peer > 0 {
		say("fleet firings", "%d here%s, %d at peers", r.Node+r.Late, some(", %d of them because no peer fired in time", r.Late), r.Peer)
	}
	peers := slices.Clone(f.Peers)
	slices.SortStableFunc(peers, func(a, b status.Peer) int { return a.Heard.Compare(b.Heard) })
	shown := peers[:min(len(peers), mostPeers)]
	for i := range shown {
		say("peer "+shown[i].Name, "%s", peerLine(&shown[i], now))
	}
	if n := len(peers) - len(shown); n > 0 {
		say("peers", "%d more, heard later than these", n)
	}
}

func peerLine(p *status.Peer, now time.Time) string {
	line := fmt.Sprintf("heard %s, %d taken", terminal.Ago(p.Heard, now), p.Taken)
	if p.Taken > 0 {
		line += fmt.Sprintf(", the latest after %s", p.Lag.Duration().Round(time.Millisecond))
	}
	if p.Refused > 0 {
		line += fmt.Sprintf(", %d refused, the latest: %s", p.Refused, p.Why)
	}
	if p.Clock.Duration().Abs() >= time.Second {
		line += fmt.Sprintf(", clock ahead by %s", p.Clock.Duration().Round(time.Second))
	}
	return line + some(", %d messages dropped", p.Dropped) + some(", %d notices missed", p.Missed)
}

// orUnknown writes a number, or that it is not known.
func orUnknown(n *uint64) string {
	if n == nil {
		return "an unknown number of"
	}
	return strconv.FormatUint(*n, 10)
}

// A health is all that the daemon says of itself.
type health struct {
	status.Status
	Kernel   status.KernelPage `json:"kernel"`   // without its entries, which may be many
	LastBans []status.Ban      `json:"lastBans"` // newest first
}

const (
	// newest is how many of the last bans are shown.
	newest = 5
	// fewBans is the number of bans above which the last ones are looked for among the targets that were
	// active lately: the daemon lists bans by address, so that it takes all of them.
	fewBans = 1000
	// lately is how many such targets are looked at.
	lately = 50
)

// examine asks a daemon about its health.
func examine(ctx context.Context, c *client.Client) (h health, err error) {
	if h.Status, err = c.Status(ctx); err != nil {
		return h, err
	}
	if h.Kernel, err = c.Kernel(ctx); err != nil {
		return h, err
	}
	h.Kernel.Entries = nil
	for i := range h.Kernel.More {
		h.Kernel.More[i].Entries = nil
	}
	h.LastBans, err = lastBans(ctx, c, h.Stats.ActiveBans)
	return h, err
}

// lastBans returns the newest of n bans, without evidence.
func lastBans(ctx context.Context, c *client.Client, n int) (bans []status.Ban, err error) {
	if n <= fewBans {
		bans, err = collect(first(c.Bans(ctx, fewBans), fewBans), true)
	} else {
		bans, err = activeLately(ctx, c)
	}
	slices.SortFunc(bans, orders["added"])
	return append([]status.Ban{}, bans[:min(len(bans), newest)]...), err
}

// activeLately returns the bans of the targets that were active lately, as the history knows them.
func activeLately(ctx context.Context, c *client.Client) (bans []status.Ban, err error) {
	all, err := c.Incidents(ctx, time.Now())
	for _, i := range all {
		target, bad := ban.ParseTarget(i.Target)
		if bad != nil || !i.Banned {
			continue
		}
		b, _, err := c.Ban(ctx, target)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		b.Evidence = nil
		if bans = append(bans, *b); len(bans) == lately {
			break
		}
	}
	return bans, err
}

// kernels lists what the kernel enforces for each action.
func (h *health) kernels() []status.Kernel {
	if h.Kernel.Action == "" {
		return nil
	}
	return append([]status.Kernel{h.Kernel.Kernel}, h.Kernel.More...)
}

// lag is that of the source that is furthest behind.
func (h *health) lag() (lag status.Seconds) {
	for _, s := range h.Sources {
		lag = max(lag, s.Lag)
	}
	return lag
}

// drifts counts the repairs in the kernel.
func (h *health) drifts() (n uint64) {
	for _, a := range h.Actions {
		n += a.Drift.Count
	}
	return n
}

// thresholds are how far a source may be behind.
type thresholds struct{ warning, critical time.Duration }

// problems lists the problems that the daemon reports and the sources that are too
// far behind, the worst first.
func (h *health) problems(t thresholds) []status.Problem {
	all := slices.Clone(h.Problems)
	for _, s := range h.Sources {
		severity := status.Warning
		switch lag := s.Lag.Duration(); {
		case s.Fault != "" || lag < t.warning:
			continue
		case lag >= t.critical:
			severity = status.Critical
		}
		all = append(all, status.Problem{Severity: severity, Subject: "source " + s.Name, Text: terminal.About(s.Lag.Duration()) + " behind"})
	}
	slices.SortStableFunc(all, status.BySeverity)
	return all
}
