package admin

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/status"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	l := newLab(t, nil)
	l.attack()
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(404, "", "GET", "/security/blacklist/203.0.113.9", "")
	text := l.want(200, "", "GET", "/metrics", "")
	judgeNames(t, text)
	for _, want := range []string{
		`freeswitch_security_build_info{version="1.2.3"} 1`,
		`freeswitch_security_up 1`,
		`freeswitch_security_events_total{source="log.freeswitch"} 16`,
		`freeswitch_security_matches_total{rule="password guessing"} 16`,
		`freeswitch_security_bans_total{rule="password guessing",source="log.freeswitch"} 2`,
		`freeswitch_security_refusals_total{rule="password guessing",source="log.freeswitch"} 0`,
		`freeswitch_security_bans_active 3`,
		`freeswitch_security_kernel_entries{action="iptables.drop",chain="FREESWITCH"} 3`,
		`freeswitch_iptables_rules_total 3`,
		`freeswitch_security_kernel_read_success 1`,
		`freeswitch_security_notifications_delivered_total{action="webhook.noc"} 12`,
		`freeswitch_security_notifications_dropped_total{action="webhook.noc"} 1`,
		`freeswitch_security_deliveries_failed_total{action="webhook.noc"} 4`,
		`freeswitch_security_notifications_waiting{action="webhook.noc"} 3`,
		`freeswitch_security_drift_repairs_total{action="iptables.drop"} 0`,
		`freeswitch_security_apply_seconds_bucket{action="iptables.drop",le="1"}`,
		`freeswitch_security_queue_depth 0`,
		`freeswitch_security_source_lag_seconds{source="log.freeswitch"} 0.0`,
		`freeswitch_security_source_behind_bytes{source="log.freeswitch"} 10`,
		`freeswitch_security_lines_read_total{source="log.freeswitch"} 1000`,
		`freeswitch_security_bytes_read_total{source="log.freeswitch"} 100000`,
		`freeswitch_security_events_dropped_total{source="log.freeswitch"} 0`,
		`freeswitch_security_source_connects_total{source="log.freeswitch"} 2`,
		`freeswitch_security_switch_restarts_total{source="log.freeswitch"} 1`,
		`freeswitch_security_registrations 0`,
		`freeswitch_security_registrations_evicted_total 0`,
		`freeswitch_security_gateway_addresses_refused_total 0`,
		`freeswitch_security_corroborated_events_total{outcome="unheard"} 0`,
		`freeswitch_security_config_reload_success 1`,
		`freeswitch_security_problems{severity="critical"} 0`,
		`freeswitch_security_api_requests_total{method="GET",route="/security/blacklist/{ip...}",status="404"} 1`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("there is no %s", want)
		}
	}
	problems, err := testutil.CollectAndLint(collector{l.server})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "freeswitch_iptables_rules_total" { // a gauge by name of its own; dashboards know it so
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if err := prometheus.NewPedanticRegistry().Register(collector{l.server}); err != nil {
		t.Error(err)
	}
}

// familiesOf collects the families of a report.
type familiesOf struct{ *report }

// judgeNames has promtool judge the names and help texts of all metrics, where it is installed.
func judgeNames(t *testing.T, text string) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed: apt-get install prometheus")
		return
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	said, _ := check.CombinedOutput() // it fails because of the exception
	const exception = `freeswitch_iptables_rules_total non-counter metrics should not have "_total" suffix`
	if strings.TrimSpace(string(said)) != exception {
		t.Errorf("promtool check metrics:\n%s", said)
	}
}

func (familiesOf) Describe(chan<- *prometheus.Desc) {}

func (c familiesOf) Collect(out chan<- prometheus.Metric) {
	for _, f := range families {
		f.emit(f.desc(), c.report, out)
	}
}

func TestFleetMetrics(t *testing.T) {
	var r report
	r.Fleet = &status.Fleet{Joined: true, Records: 3, Unsent: 1, Refused: 2, Dropped: 4, Firings: status.Firings{Node: 8, Peer: 9}, Notices: status.List[status.Notices]{
		{Kind: "counts", Told: 10, Dropped: 11, Taken: 12, Repeated: 13, Missed: 14, Refused: 15},
	}, Peers: status.List[status.Peer]{
		{Name: "sbc2", Heard: time.UnixMilli(1500), Clock: -2, Lag: 0.25, Taken: 5, Refused: 6, Dropped: 7},
	}}
	const want = `
# HELP freeswitch_security_fleet_up Whether this node is in its fleet and has all that the server has. Missing without a fleet.
# TYPE freeswitch_security_fleet_up gauge
freeswitch_security_fleet_up 1
# HELP freeswitch_security_fleet_records_unsent Decisions of this node that the server does not have yet.
# TYPE freeswitch_security_fleet_records_unsent gauge
freeswitch_security_fleet_records_unsent 1
# HELP freeswitch_security_fleet_firings_total Firings of rules over the fleet: by this node, late by this node because no peer fired in time, or by a peer.
# TYPE freeswitch_security_fleet_firings_total counter
freeswitch_security_fleet_firings_total{by="late"} 0
freeswitch_security_fleet_firings_total{by="node"} 8
freeswitch_security_fleet_firings_total{by="peer"} 9
# HELP freeswitch_security_fleet_notices_total What nodes tell each other about events, by kind: counts are matches of rules over the fleet, registrations what switches know. By outcome: told to the peers or dropped here; of peers taken, repeated, missed or refused.
# TYPE freeswitch_security_fleet_notices_total counter
freeswitch_security_fleet_notices_total{kind="counts",outcome="dropped"} 11
freeswitch_security_fleet_notices_total{kind="counts",outcome="missed"} 14
freeswitch_security_fleet_notices_total{kind="counts",outcome="refused"} 15
freeswitch_security_fleet_notices_total{kind="counts",outcome="repeated"} 13
freeswitch_security_fleet_notices_total{kind="counts",outcome="taken"} 12
freeswitch_security_fleet_notices_total{kind="counts",outcome="told"} 10
# HELP freeswitch_security_peer_last_heard_timestamp_seconds When a peer last gave a sign of life; 0 if it has given none.
# TYPE freeswitch_security_peer_last_heard_timestamp_seconds gauge
freeswitch_security_peer_last_heard_timestamp_seconds{peer="sbc2"} 1.5
# HELP freeswitch_security_peer_lag_seconds Age of the latest decision of a peer when it was taken here.
# TYPE freeswitch_security_peer_lag_seconds gauge
freeswitch_security_peer_lag_seconds{peer="sbc2"} 0.25
# HELP freeswitch_security_peer_taken_total Decisions of a peer that are in force here.
# TYPE freeswitch_security_peer_taken_total counter
freeswitch_security_peer_taken_total{peer="sbc2"} 5
# HELP freeswitch_security_peer_refused_total Decisions of a peer that were refused.
# TYPE freeswitch_security_peer_refused_total counter
freeswitch_security_peer_refused_total{peer="sbc2"} 6
`
	err := testutil.CollectAndCompare(familiesOf{&r}, strings.NewReader(want), "freeswitch_security_fleet_up", "freeswitch_security_fleet_records_unsent",
		"freeswitch_security_fleet_firings_total", "freeswitch_security_fleet_notices_total",
		"freeswitch_security_peer_last_heard_timestamp_seconds", "freeswitch_security_peer_lag_seconds", "freeswitch_security_peer_taken_total", "freeswitch_security_peer_refused_total")
	if err != nil {
		t.Error(err)
	}
	r.Fleet = nil
	if n := testutil.CollectAndCount(familiesOf{&r}, "freeswitch_security_fleet_up", "freeswitch_security_peer_taken_total"); n != 0 {
		t.Errorf("without a fleet there are %d metrics of one", n)
	}
}

// TestScrapesShare: scrapes and lists ask the engine and the kernel no more often
// than these can bear.
func TestScrapesShare(t *testing.T) {
	l := newLab(t, nil)
	for i := range 100 {
		l.want(200, "", "GET", "/security/status", "")
		l.want(200, "", "GET", "/security/stats", "")
		l.want(404, "", "GET", fmt.Sprintf("/security/blacklist/203.0.113.%d", i), "")
	}
	if l.wall.looks > 10 || l.courier.reports > 20 {
		t.Errorf("the kernel was looked at %d times, the engine asked %d times", l.wall.looks, l.courier.reports)
	}
}
