package doctor

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/status"
)

// silentAfter is how long a peer may give no sign of life: it gives one every five seconds, or fewer in
// a large fleet.
const silentAfter = 10 * time.Minute

// judgeFleet reports what keeps the guards of a fleet from sharing: the connection to the server, the
// rights of the account, clocks, and silent peers.
func (x *exam) judgeFleet() {
	if x.cfg == nil || x.cfg.Fleet == nil {
		return
	}
	for _, server := range x.cfg.Fleet.Servers {
		if u, err := url.Parse(server); err == nil && (u.Scheme == "nats" || u.Scheme == "ws") && !isLoopback(u.Hostname()) && x.cfg.Fleet.CA == "" {
			x.report(warning, "the connection to the server of the fleet is not encrypted: "+shorten(server),
				"on the way, bans, accounts and the password of the guard can be read and changed", "in fleet: servers = [\"tls://"+u.Host+"\"], and tls in the server's configuration, see examples/fleet")
		}
	}
	f := x.fleet
	switch {
	case x.heard == nil:
		x.report(info, "the fleet was not examined: the guard does not answer", "the guard knows whether its server, its rights and the clocks are right", "start the guard, then: freeswitch-security doctor")
		return
	case f == nil:
		x.report(warning, "the rules have a fleet, and the running guard is in none", "it was started before, or with --dry-run", "systemctl reload freeswitch-security")
		return
	}
	x.judgePeers(f)
	failing := false
	for _, p := range f.Problems {
		if p.Severity == status.Warning || p.Severity == status.Critical {
			failing = true
			x.report(warning, "fleet: "+terminal.Cut(p.Text, 500), "this node may miss bans of the others, and they its own", "after the change: freeswitch-security status")
		}
	}
	if f.Joined && !failing {
		x.ok("the fleet is joined at %s, with %s; the rights suffice and the clocks agree", shorten(f.Server), terminal.Count(len(f.Peers), "peer"))
	}
}

func (x *exam) judgePeers(f *status.Fleet) {
	var silent []string
	for _, p := range f.Peers {
		if !p.Heard.IsZero() && x.host.now().Sub(p.Heard) > silentAfter {
			silent = append(silent, fmt.Sprintf("%s for %s", p.Name, terminal.About(x.host.now().Sub(p.Heard))))
		}
	}
	if n := len(silent); n > 0 {
		x.report(info, fmt.Sprintf("%s of the fleet not heard: %s", terminal.Count(n, "peer"), strings.Join(silent[:min(n, 5)], ", ")),
			"it is stopped, or cannot reach the server", "on it: freeswitch-security status")
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}
