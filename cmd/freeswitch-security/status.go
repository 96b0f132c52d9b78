package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/recording"

	"github.com/spf13/cobra"
)

func (a *app) status() *cobra.Command {
	var r reach
	var asJSON, nagios bool
	warning, critical := lengthFlag(10*time.Second), lengthFlag(time.Minute)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the daemon is alive, sees events and blocks",
		Long: `Say whether the daemon is alive, whether it sees events and how far it is
behind, whether bans are in force and what had to be mended, and who was banned
last.

With --nagios it is one line with perfdata, and the exit status is that of a
plugin: 0 OK, 1 WARNING, 2 CRITICAL (attacks are not seen, bans are not in
force, nobody answers), 3 UNKNOWN (it may not be asked).

Exit status: 0 all is well; 1 something is not; 2 it could not be asked.`,
		Example: "  freeswitch-security status\n  freeswitch-security status --nagios --critical-lag 5m",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t := thresholds{time.Duration(warning), time.Duration(critical)}
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
			err = printObject(a.stdout, h)
		default:
			err = a.report(h, t, time.Now())
		}
		if err == nil && len(h.findings(t)) > 0 {
			return errNo
		}
		return err
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	cmd.Flags().BoolVar(&nagios, "nagios", false, "as a plugin of Nagios")
	cmd.Flags().Var(&warning, "warning-lag", "how far behind is a warning")
	cmd.Flags().Var(&critical, "critical-lag", "how far behind is critical")
	return cmd
}

func (a *app) health(ctx context.Context, r reach) (health, error) {
	c, err := a.client(r)
	if err != nil {
		return health{}, err
	}
	return examine(ctx, c)
}

// report shows the health to people.
func (a *app) report(h health, t thresholds, now time.Time) error {
	paint := painter(a.colour(a.stdout))
	findings := h.findings(t)
	verdict := paint(levelOK, "ok")
	if len(findings) > 0 {
		verdict = paint(findings[0].level, strings.ToLower(findings[0].level.String()))
	}
	s := &h.Status
	fmt.Fprintf(a.stdout, "freeswitch-security %s, up %s: %s\n", printable(s.Version), about(inSeconds(s.UptimeSeconds)), verdict)
	for _, f := range findings {
		fmt.Fprintf(a.stdout, "  %s %s\n", paint(f.level, "!"), printable(f.what))
	}
	fmt.Fprintln(a.stdout)
	if err := h.figures(a.stdout, now); err != nil {
		return err
	}
	if len(h.LastBans) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout, "\nLast bans:")
	table := newTable("TARGET", "BANNED", "UNTIL", "RULE", "REASON")
	for _, b := range h.LastBans {
		table.Row(b.IP, ago(&b.AddedAt, now), until(b.ExpiresAt, now), b.Rule, b.Reason)
	}
	return table.Print(a.stdout, width(a.stdout))
}

// painter colours a text by how bad it is, where colours are wanted.
func painter(wanted bool) func(level, string) string {
	return func(l level, text string) string {
		if !wanted {
			return text
		}
		colour := [...]string{levelOK: "32", levelWarning: "33", levelCritical: "31", levelUnknown: "35"}[l]
		return "\x1b[1;" + colour + "m" + text + "\x1b[0m"
	}
}

// figures shows numbers, a line for each source and each action.
func (h *health) figures(w io.Writer, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	say := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", printable(name), printable(fmt.Sprintf(format, args...)))
	}
	s := &h.Status
	say("bans", "%d in force, the last %s; %s packets stopped", s.BlacklistCount, ago(h.Stats.LastBanAt, now), orUnknown(h.Stats.PacketsDropped))
	say("trusted", "%s", count(s.WhitelistCount, "network"))
	say("rules", "%d, loaded %s", s.RuleCount, ago(s.Reload.At, now))
	say("events", "%d, %d lost, %d waiting", h.Stats.Events, h.Stats.LostEvents, s.QueueDepth)
	h.belief(say)
	for _, source := range h.Sources {
		say("source "+source.Name, "%s", sourceLine(&source, now))
	}
	for _, action := range s.Actions {
		say("action "+action.Name, "%s", actionLine(&action, now))
	}
	for _, k := range h.kernels() {
		line := "not known: it could not be read"
		if k.Count != nil {
			line = fmt.Sprintf("%s in chain %s", count(*k.Count, "ban"), k.Chain)
		}
		if len(k.Drift.Notes) > 0 {
			line += "; mended: " + strings.Join(k.Drift.Notes, ", ")
		}
		say("kernel "+k.Action, "%s", line)
	}
	return t.Flush()
}

// belief shows whom the switch knows, and which events of logs were believed, where
// anybody asked for that.
func (h *health) belief(say func(name, format string, args ...any)) {
	if k := h.Stats.Known; k.Registrations > 0 || k.Evicted > 0 || k.GatewaysRefused > 0 {
		line := fmt.Sprintf("%s that protect their addresses", count(k.Registrations, "registration"))
		if k.Evicted > 0 {
			line += fmt.Sprintf(", %d gave way to others", k.Evicted)
		}
		if k.GatewaysRefused > 0 {
			line += fmt.Sprintf("; %d addresses of gateways too many", k.GatewaysRefused)
		}
		say("known good", "%s", line)
	}
	if c := h.Stats.Corroborated; c.Confirmed > 0 || c.Forged > 0 || c.Unheard > 0 {
		say("corroborated", "%d confirmed, %d forged, %d that nobody could vouch for", c.Confirmed, c.Forged, c.Unheard)
	}
}

func sourceLine(s *client.Source, now time.Time) string {
	state := "reads"
	switch {
	case !s.Running:
		state = "does not run"
	case s.Fault != "":
		state = "cannot be read"
	}
	line := fmt.Sprintf("%s, %d lines, %d events, the last %s", state, s.Lines, s.Events, ago(s.LastEventAt, now))
	if s.LagSeconds >= 1 || s.BehindBytes > 0 {
		line += fmt.Sprintf(", %s and %d bytes behind", about(inSeconds(s.LagSeconds)), s.BehindBytes)
	}
	if s.Lost > 0 {
		line += fmt.Sprintf(", %d lost", s.Lost)
	}
	if s.Doubted > 0 {
		line += fmt.Sprintf(", %d doubted", s.Doubted)
	}
	if s.Connects > 1 {
		line += fmt.Sprintf(", connected %s", count(int(s.Connects), "time"))
	}
	if s.Restarts > 0 {
		line += fmt.Sprintf(", the switch started anew %s", count(int(s.Restarts), "time"))
	}
	return line
}

// orUnknown writes a number, or that it is not known.
func orUnknown(n *uint64) string {
	if n == nil {
		return "an unknown number of"
	}
	return strconv.FormatUint(*n, 10)
}

// deliveryLine says how an action that tells others gets on.
func deliveryLine(d *client.Delivery, now time.Time) string {
	line := fmt.Sprintf("%d delivered", d.Delivered)
	if d.Waiting > 0 {
		line += fmt.Sprintf(", %d waiting, the oldest of %s", d.Waiting, ago(d.WaitingSince, now))
	}
	if d.Failed > 0 {
		line += ", " + count(int(d.Failed), "attempt") + " failed"
	}
	if d.Dropped > 0 {
		line += fmt.Sprintf(", %d dropped", d.Dropped)
	}
	return line
}

func actionLine(a *client.Action, now time.Time) string {
	if a.Delivery != nil && a.Error == "" {
		return deliveryLine(a.Delivery, now)
	}
	line := "in force"
	switch {
	case a.Error != "":
		line = fmt.Sprintf("failed %s", count(a.Failures, "time"))
	case !a.Synced:
		line = "not in force yet"
	}
	line += ", last change " + ago(a.LastApply.At, now)
	if a.Waiting > 0 {
		line += fmt.Sprintf(", %d waiting", a.Waiting)
	}
	return line + fmt.Sprintf(", mended %s", count(int(a.Drifts), "time"))
}

// asLevel takes the exit status out of the end of a verb that is a plugin.
func asLevel(err error) (status int, ok bool) {
	l, ok := errors.AsType[level](err)
	return int(l), ok
}
