package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	l := newLab(t, nil)
	l.attack()
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(404, "", "GET", "/security/blacklist/203.0.113.9", "")
	text := l.want(200, "", "GET", "/metrics", "")
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
