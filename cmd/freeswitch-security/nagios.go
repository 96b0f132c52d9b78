package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/status"
)

// Exit statuses of a Nagios plugin.
const (
	levelOK exitStatus = iota
	levelWarning
	levelCritical
	levelUnknown
)

var levelNames = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// nagios writes the health in one line, as the plugins of Nagios do, and ends
// with its level.
func (a *app) nagios(h health, t thresholds, asking error) error {
	if asking != nil {
		l := levelUnknown
		if _, ok := errors.AsType[*client.Unreachable](asking); ok {
			l = levelCritical // the host is not guarded
		}
		a.plugin(l, asking.Error(), "")
		return l
	}
	text := fmt.Sprintf("%s, %s, lag %s", terminal.Count(h.Stats.ActiveBans, "ban"), terminal.Count(len(h.Sources), "source"), terminal.About(h.lag().Duration()))
	problems := h.problems(t)
	worst := status.Worst(problems)
	if worst != status.OK {
		var texts []string
		for _, p := range problems {
			texts = append(texts, p.String())
		}
		text = strings.Join(texts, "; ")
	}
	l := map[status.Severity]exitStatus{status.Warning: levelWarning, status.Critical: levelCritical}[worst]
	a.plugin(l, text, h.perfdata(t))
	if l == levelOK {
		return nil
	}
	return l
}

// pluginTime is how long a plugin may take: Nagios ends it after ten seconds, and
// then knows nothing.
const pluginTime = 9 * time.Second

// maxPlugin bounds the text of the line, in bytes: Nagios reads some kilobytes.
const maxPlugin = 1000

// plugin writes the line. A | would begin the perfdata.
func (a *app) plugin(l exitStatus, text, perfdata string) {
	text = terminal.Cut(strings.ReplaceAll(terminal.Printable(text), "|", "/"), maxPlugin)
	if perfdata != "" {
		perfdata = " | " + perfdata
	}
	fmt.Fprintf(a.stdout, "FREESWITCH-SECURITY %s - %s%s\n", levelNames[l], text, perfdata)
}

// perfdata is the numbers for graphs: label=value[unit];warning;critical;minimum.
// Counts that only grow have the unit c; U is a number that is not known.
func (h *health) perfdata(t thresholds) string {
	s, dropped := &h.Stats, "U"
	if s.DroppedPackets != nil {
		dropped = fmt.Sprintf("%dc", *s.DroppedPackets)
	}
	return fmt.Sprintf("bans=%d;;;0 trusted=%d;;;0 lag=%.3fs;%g;%g;0 waiting=%d;;;0 events=%dc lost=%dc drifts=%dc dropped=%s",
		s.ActiveBans, s.TrustedNetworks, h.lag(), t.warning.Seconds(), t.critical.Seconds(), h.QueueDepth,
		s.Events, s.Lost, h.drifts(), dropped)
}
