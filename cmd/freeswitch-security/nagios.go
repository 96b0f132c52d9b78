package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
)

// Error makes a level the end of a verb whose exit status it is.
func (l level) Error() string { return l.String() }

// nagios writes the health in one line, as the plugins of Nagios do, and ends
// with its level.
func (a *app) nagios(h health, t thresholds, asking error) error {
	if asking != nil {
		l := levelUnknown
		var gone *client.Unreachable
		if errors.As(asking, &gone) {
			l = levelCritical // nobody is guarded
		}
		a.plugin(l, asking.Error(), "")
		return l
	}
	l, text := levelOK, fmt.Sprintf("%s, %s, lag %s", count(h.Status.BlacklistCount, "ban"),
		count(len(h.Sources), "source"), about(inSeconds(h.lag())))
	var wrong []string
	for _, f := range h.findings(t) {
		l = max(l, f.level)
		wrong = append(wrong, f.what)
	}
	if len(wrong) > 0 {
		text = strings.Join(wrong, "; ")
	}
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
func (a *app) plugin(l level, text, perfdata string) {
	text = cutTo(strings.ReplaceAll(printable(text), "|", "/"), maxPlugin)
	if perfdata != "" {
		perfdata = " | " + perfdata
	}
	fmt.Fprintf(a.stdout, "FREESWITCH-SECURITY %s - %s%s\n", l, text, perfdata)
}

// perfdata is the numbers for graphs: label=value[unit];warning;critical;minimum.
// Counts that only grow have the unit c; U is a number that is not known.
func (h *health) perfdata(t thresholds) string {
	dropped := "U"
	if n := h.Stats.PacketsDropped; n != nil {
		dropped = fmt.Sprintf("%dc", *n)
	}
	return fmt.Sprintf("bans=%d;;;0 trusted=%d;;;0 lag=%.3fs;%g;%g;0 waiting=%d;;;0 events=%dc lost=%dc drifts=%dc dropped=%s",
		h.Status.BlacklistCount, h.Status.WhitelistCount, h.lag(), t.warning.Seconds(), t.critical.Seconds(), h.Status.QueueDepth,
		h.Stats.Events, h.Stats.LostEvents, h.drifts(), dropped)
}

// inSeconds makes a duration of a number of seconds.
func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
