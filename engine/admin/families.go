package admin

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"freeswitch-security/engine/status"
)

// A Metric describes one metric.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

func (m *Metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

// Metrics lists the metrics of the program, but for those of the Go runtime and of
// the process, which the library adds.
func Metrics() []Metric {
	all := []Metric{upMetric, buildMetric, requestsMetric}
	for _, f := range families {
		all = append(all, f.Metric)
	}
	return all
}

var (
	upMetric    = Metric{"freeswitch_security_up", "gauge", "Whether the engine answers.", nil}
	buildMetric = Metric{"freeswitch_security_build_info", "gauge", "The version in use; the value is 1.", []string{"version"}}
)

// A family is a metric and where its numbers come from.
type family struct {
	Metric
	emit func(*prometheus.Desc, *report, chan<- prometheus.Metric)
}

// A series is one metric of a T: a row in the tables below.
type series[T any] struct {
	name  string
	kind  prometheus.ValueType
	help  string
	value func(*T) float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// of makes families of rows. each calls its function with every T of a report and
// the values of the labels.
func of[T any](labels []string, each func(*report, func(*T, ...string)), rows []series[T]) []family {
	var all []family
	for _, row := range rows {
		m := Metric{Name: row.name, Type: map[prometheus.ValueType]string{counter: "counter", gauge: "gauge"}[row.kind], Help: row.help, Labels: labels}
		all = append(all, family{m, func(desc *prometheus.Desc, r *report, out chan<- prometheus.Metric) {
			each(r, func(t *T, labels ...string) {
				out <- prometheus.MustNewConstMetric(desc, row.kind, row.value(t), labels...)
			})
		}})
	}
	return all
}

// histogram makes a family of the distributions of all actions.
func histogram(name, help string, of func(*status.Action) *status.Histogram) family {
	return family{Metric{name, "histogram", help, []string{"action"}}, func(desc *prometheus.Desc, r *report, out chan<- prometheus.Metric) {
		for i := range r.Actions {
			h := of(&r.Actions[i])
			out <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Buckets(), r.Actions[i].Name)
		}
	}}
}

// families lists the metrics that come from the engine. Counters start with the
// process; labels are names from the rule files.
var families = slices.Concat(
	of([]string{"source"}, eachSource, []series[status.Source]{
		{"freeswitch_security_events_total", counter, "Events that a source has reported.",
			func(s *status.Source) float64 { return float64(s.Events) }},
		{"freeswitch_security_events_dropped_total", counter, "Events, and lines of a named pipe, that were lost, here or at the switch.",
			func(s *status.Source) float64 { return float64(s.Lost) }},
		{"freeswitch_security_lines_read_total", counter, "Lines that a source has read; frames or packets where it has no lines.",
			func(s *status.Source) float64 { return float64(s.Lines) }},
		{"freeswitch_security_bytes_read_total", counter, "Bytes that a source has read.",
			func(s *status.Source) float64 { return float64(s.Bytes) }},
		{"freeswitch_security_lines_skipped_total", counter, "Lines that were too long to decode, and packets that are not SIP or whose sender is refused.",
			func(s *status.Source) float64 { return float64(s.Skipped) }},
		{"freeswitch_security_packets_unsent_total", counter, "Packets that a source was to send on, and could not.",
			func(s *status.Source) float64 { return float64(s.Unsent) }},
		{"freeswitch_security_lines_doubted_total", counter, "Lines that look like an event and were discarded as evidence.",
			func(s *status.Source) float64 { return float64(s.Doubted) }},
		{"freeswitch_security_source_connects_total", counter, "Connections to a source that succeeded.",
			func(s *status.Source) float64 { return float64(s.Connects) }},
		{"freeswitch_security_switch_restarts_total", counter, "Restarts of the switch that a source has noticed.",
			func(s *status.Source) float64 { return float64(s.Restarts) }},
		{"freeswitch_security_source_up", gauge, "Whether a source is followed and can be read.",
			func(s *status.Source) float64 { return number(s.Running && s.Fault == "") }},
		{"freeswitch_security_source_warning", gauge, "Whether something is wrong with a source although it is read.",
			func(s *status.Source) float64 { return number(status.Worst(s.Problems) != status.OK) }},
		{"freeswitch_security_source_lag_seconds", gauge, "Age of the latest event while there is more to read.",
			func(s *status.Source) float64 { return float64(s.Lag) }},
		{"freeswitch_security_source_clock_behind_seconds", gauge, "How far the stamps of a source are behind the host's clock; 0 if they are right, negative if they are ahead.",
			func(s *status.Source) float64 { return float64(s.Clock) }},
		{"freeswitch_security_source_behind_bytes", gauge, "Bytes that exist and are not read yet.",
			func(s *status.Source) float64 { return float64(s.Behind) }},
		{"freeswitch_security_source_last_event_timestamp_seconds", gauge, "Stamp of the latest event; 0 if there is none.",
			func(s *status.Source) float64 { return seconds(s.LastEvent) }},
	}),
	of([]string{"rule"}, eachRule, []series[status.Rule]{
		{"freeswitch_security_matches_total", counter, "Events for which the expression of a rule was true.",
			func(r *status.Rule) float64 { return float64(r.Matches) }},
		{"freeswitch_security_firings_total", counter, "Times that a rule has reached its threshold.",
			func(r *status.Rule) float64 { return float64(r.Firings) }},
		{"freeswitch_security_brake_factor", gauge, "How many times a new target has to reach the threshold of a rule; more than 1 if the brake is used up.",
			func(r *status.Rule) float64 { return float64(r.BrakeFactor) }},
		{"freeswitch_security_withheld_bans_total", counter, "Bans that the used-up brake of a rule has withheld.",
			func(r *status.Rule) float64 { return float64(r.Withheld) }},
		{"freeswitch_security_rule_errors_total", counter, "Events for which the expression of a rule could not be evaluated.",
			func(r *status.Rule) float64 { return float64(r.Errors) }},
		{"freeswitch_security_tracked_keys", gauge, "Keys for which a rule keeps a window.",
			func(r *status.Rule) float64 { return float64(r.Tracked) }},
		{"freeswitch_security_evicted_keys_total", counter, "Windows given up early because the rule tracks too many keys.",
			func(r *status.Rule) float64 { return float64(r.Evicted) }},
	}),
	of([]string{"rule", "source"}, eachTally, []series[status.Tally]{
		{"freeswitch_security_bans_total", counter, "Bans, new and extended; without a rule: by the API or by a feed.",
			func(t *status.Tally) float64 { return float64(t.Bans) }},
		{"freeswitch_security_unbans_total", counter, "Bans that have ended.",
			func(t *status.Tally) float64 { return float64(t.Unbans) }},
		{"freeswitch_security_alerts_total", counter, "Alerts: a notification without a ban.",
			func(t *status.Tally) float64 { return float64(t.Alerts) }},
		{"freeswitch_security_refusals_total", counter, "Orders that were refused, without those for targets that are already banned.",
			func(t *status.Tally) float64 { return float64(t.Refusals) }},
	}),
	of([]string{"action"}, eachAction, []series[status.Action]{
		{"freeswitch_security_action_up", gauge, "Whether an action agrees with the bans and its latest attempt succeeded.",
			func(a *status.Action) float64 { return number(a.Synced && a.Error == "") }},
		{"freeswitch_security_last_apply_seconds", gauge, "Duration of the latest batch.",
			func(a *status.Action) float64 { return float64(a.LastApply.Took) }},
		{"freeswitch_security_last_apply_batch_size", gauge, "Changes in the latest batch.",
			func(a *status.Action) float64 { return float64(a.LastApply.Changes) }},
		{"freeswitch_security_last_apply_timestamp_seconds", gauge, "When the latest batch was carried out; 0 if there was none.",
			func(a *status.Action) float64 { return seconds(a.LastApply.At) }},
		{"freeswitch_security_changes_waiting", gauge, "Changes not yet carried out.",
			func(a *status.Action) float64 { return float64(a.Waiting) }},
		{"freeswitch_security_drift_repairs_total", counter, "Repairs of drift that others had caused.",
			func(a *status.Action) float64 { return float64(a.Drift.Count) }},
		{"freeswitch_security_changes_dropped_total", counter, "Times that changes were dropped because an action was too slow.",
			func(a *status.Action) float64 { return float64(a.Lost) }},
		{"freeswitch_security_action_failures", gauge, "Failures of an action in a row.",
			func(a *status.Action) float64 { return float64(a.Failures) }},
	}),
	[]family{
		histogram("freeswitch_security_apply_seconds", "Duration of a batch.",
			func(a *status.Action) *status.Histogram { return &a.Latency }),
		histogram("freeswitch_security_apply_batch_size", "Changes in a batch.",
			func(a *status.Action) *status.Histogram { return &a.Batches }),
	},
	of([]string{"action"}, eachDelivery, []series[status.Delivery]{
		{"freeswitch_security_notifications_delivered_total", counter, "Notifications that were delivered.",
			func(d *status.Delivery) float64 { return float64(d.Delivered) }},
		{"freeswitch_security_notifications_dropped_total", counter, "Notifications that will never be delivered.",
			func(d *status.Delivery) float64 { return float64(d.Dropped) }},
		{"freeswitch_security_deliveries_failed_total", counter, "Attempts to deliver that failed; most of them are retried.",
			func(d *status.Delivery) float64 { return float64(d.Failed) }},
		{"freeswitch_security_notifications_waiting", gauge, "Notifications not yet delivered.",
			func(d *status.Delivery) float64 { return float64(d.Waiting) }},
		{"freeswitch_security_notifications_waiting_since_timestamp_seconds", gauge, "When the oldest of them was queued; 0 if there is none.",
			func(d *status.Delivery) float64 { return seconds(d.Since) }},
	}),
	of(nil, once, []series[report]{
		{"freeswitch_security_queue_depth", gauge, "Events that wait for the rules.",
			func(r *report) float64 { return float64(r.QueueDepth) }},
		{"freeswitch_security_events_set_aside_total", counter, "Events that did not count, because bans that are not enforced would have dropped their packets.",
			func(r *report) float64 { return float64(r.Stats.SetAside) }},
		{"freeswitch_security_bans_active", gauge, "Bans in force.",
			func(r *report) float64 { return float64(r.Stats.ActiveBans) }},
		{"freeswitch_security_trusted_entries", gauge, "Networks that are never banned.",
			func(r *report) float64 { return float64(r.Stats.TrustedNetworks) }},
		{"freeswitch_security_registrations", gauge, "Registered phones whose addresses are protected.",
			func(r *report) float64 { return float64(r.Stats.Known.Registrations) }},
		{"freeswitch_security_dialogues", gauge, "Hosts with a call or login in the last 24 hours, which senders that may be forged do not have banned.",
			func(r *report) float64 { return float64(r.Stats.Known.Dialogues) }},
		{"freeswitch_security_accounts", gauge, "Accounts with a history, which a rule uses.",
			func(r *report) float64 { return float64(r.Stats.Known.Accounts) }},
		{"freeswitch_security_registrations_evicted_total", counter, "Registrations given up early because there are too many.",
			func(r *report) float64 { return float64(r.Stats.Known.Evicted) }},
		{"freeswitch_security_gateway_addresses_refused_total", counter, "Addresses of gateways beyond the limit, which are not trusted.",
			func(r *report) float64 { return float64(r.Stats.Known.GatewaysRefused) }},
		{"freeswitch_security_config_reload_success", gauge, "Whether the latest reload of the rules succeeded.",
			func(r *report) float64 { return number(r.Reload.Error == "") }},
		{"freeswitch_security_config_reload_timestamp_seconds", gauge, "When the rules in use were loaded.",
			func(r *report) float64 { return seconds(r.Reload.At) }},
		{"freeswitch_security_state_saved", gauge, "Whether the bans survive a restart.",
			func(r *report) float64 { return number(r.State.Error == "") }},
		{"freeswitch_security_auto_block", gauge, "Whether the bans of rules are enforced.",
			func(r *report) float64 { return number(r.AutoBlock && !r.DryRun) }},
		{"freeswitch_security_start_timestamp_seconds", gauge, "When the engine started.",
			func(r *report) float64 { return seconds(r.Started) }},
	}),
	of(nil, ofFleet, []series[status.Fleet]{
		{"freeswitch_security_fleet_up", gauge, "Whether this node is in its fleet and has all that the server has. Missing without a fleet.",
			func(f *status.Fleet) float64 { return number(f.Joined) }},
		{"freeswitch_security_fleet_records", gauge, "Decisions of the fleet that this node knows.",
			func(f *status.Fleet) float64 { return float64(f.Records) }},
		{"freeswitch_security_fleet_records_unsent", gauge, "Decisions of this node that the server does not have yet.",
			func(f *status.Fleet) float64 { return float64(f.Unsent) }},
		{"freeswitch_security_fleet_records_refused", gauge, "Decisions of peers that are not in force here.",
			func(f *status.Fleet) float64 { return float64(f.Refused) }},
		{"freeswitch_security_fleet_messages_dropped_total", counter, "Messages to peers that were too many to be sent.",
			func(f *status.Fleet) float64 { return float64(f.Dropped) }},
	}),
	of([]string{"kind", "outcome"}, eachNotice, []series[uint64]{
		{"freeswitch_security_fleet_notices_total", counter, "What nodes tell each other about events, by kind: counts are matches of rules over the fleet, registrations what switches know. By outcome: told to the peers or dropped here; of peers taken, repeated, missed or refused.",
			func(n *uint64) float64 { return float64(*n) }},
	}),
	of([]string{"by"}, eachFiring, []series[uint64]{
		{"freeswitch_security_fleet_firings_total", counter, "Firings of rules over the fleet: by this node, late by this node because no peer fired in time, or by a peer.",
			func(n *uint64) float64 { return float64(*n) }},
	}),
	of([]string{"peer"}, eachPeer, []series[status.Peer]{
		{"freeswitch_security_peer_last_heard_timestamp_seconds", gauge, "When a peer last gave a sign of life; 0 if it has given none.",
			func(p *status.Peer) float64 { return seconds(p.Heard) }},
		{"freeswitch_security_peer_lag_seconds", gauge, "Age of the latest decision of a peer when it was taken here.",
			func(p *status.Peer) float64 { return float64(p.Lag) }},
		{"freeswitch_security_peer_clock_ahead_seconds", gauge, "How far the clock of a peer is ahead of this host's.",
			func(p *status.Peer) float64 { return float64(p.Clock) }},
		{"freeswitch_security_peer_taken_total", counter, "Decisions of a peer that are in force here.",
			func(p *status.Peer) float64 { return float64(p.Taken) }},
		{"freeswitch_security_peer_refused_total", counter, "Decisions of a peer that were refused.",
			func(p *status.Peer) float64 { return float64(p.Refused) }},
		{"freeswitch_security_peer_messages_dropped_total", counter, "Messages of a peer that were too many or too long.",
			func(p *status.Peer) float64 { return float64(p.Dropped) }},
		{"freeswitch_security_peer_notices_missed_total", counter, "Notices of a peer that were lost on the way.",
			func(p *status.Peer) float64 { return float64(p.Missed) }},
	}),
	of([]string{"country"}, eachCountry, []series[status.Country]{
		{"freeswitch_security_country_bans_total", counter, "Bans by country, those of feeds aside. Missing without a database of countries.",
			func(c *status.Country) float64 { return float64(c.Bans) }},
	}),
	of([]string{"severity"}, eachSeverity, []series[int]{
		{"freeswitch_security_problems", gauge, "Problems that /health lists.", func(n *int) float64 { return float64(*n) }},
	}),
	of([]string{"outcome"}, eachOutcome, []series[uint64]{
		{"freeswitch_security_corroborated_events_total", counter, "Events of logs that another source verifies, by outcome; unheard are those that it could not verify.",
			func(n *uint64) float64 { return float64(*n) }},
	}),
	of(nil, unlessDryRun, []series[report]{
		{"freeswitch_security_kernel_read_success", gauge, "Whether the kernel could be read completely; if not, its numbers are missing. Missing in a dry run.",
			func(r *report) float64 { return number(r.whole()) }},
	}),
	of(nil, ifWhole, []series[kernelTable]{
		{"freeswitch_iptables_rules_total", gauge, "Bans that the kernel enforces, as rules or as entries of a set. A gauge: the name, an exception to the conventions, is that of the integration guide.",
			func(t *kernelTable) float64 { return float64(t.count) }},
		{"freeswitch_security_kernel_dropped_packets", gauge, "Packets that the bans in force have dropped.",
			func(t *kernelTable) float64 { return float64(t.packets) }},
		{"freeswitch_security_kernel_dropped_bytes", gauge, "Bytes that the bans in force have dropped.",
			func(t *kernelTable) float64 { return float64(t.bytes) }},
	}),
	of([]string{"action", "chain"}, eachKernelRead, []series[status.Kernel]{
		{"freeswitch_security_kernel_entries", gauge, "Bans that the action enforces; with an empty chain not in the kernel, but at the switch.",
			func(k *status.Kernel) float64 { return float64(*k.Count) }},
	}),
	of([]string{"action"}, eachKernel, []series[status.Kernel]{
		{"freeswitch_security_kernel_errors", gauge, "Reasons why bans are not enforced, or could not be read.",
			func(k *status.Kernel) float64 { return float64(countOf(k.Problems, status.Critical)) }},
	}),
)

func once(r *report, yield func(*report, ...string)) { yield(r) }

func eachSource(r *report, yield func(*status.Source, ...string)) {
	for i := range r.Sources {
		yield(&r.Sources[i], r.Sources[i].Name)
	}
}

func eachRule(r *report, yield func(*status.Rule, ...string)) {
	for i := range r.Rules {
		yield(&r.Rules[i], r.Rules[i].Name)
	}
}

func eachTally(r *report, yield func(*status.Tally, ...string)) {
	for i := range r.Stats.Tallies {
		t := &r.Stats.Tallies[i]
		yield(t, t.Rule, t.Source)
	}
}

func eachAction(r *report, yield func(*status.Action, ...string)) {
	for i := range r.Actions {
		yield(&r.Actions[i], r.Actions[i].Name)
	}
}

func eachDelivery(r *report, yield func(*status.Delivery, ...string)) {
	for _, a := range r.Actions {
		if a.Delivery != nil {
			yield(a.Delivery, a.Name)
		}
	}
}

func ofFleet(r *report, yield func(*status.Fleet, ...string)) {
	if r.Fleet != nil {
		yield(r.Fleet)
	}
}

func eachNotice(r *report, yield func(*uint64, ...string)) {
	if r.Fleet == nil {
		return
	}
	for i := range r.Fleet.Notices {
		n := &r.Fleet.Notices[i]
		yield(&n.Told, n.Kind, "told")
		yield(&n.Dropped, n.Kind, "dropped")
		yield(&n.Taken, n.Kind, "taken")
		yield(&n.Repeated, n.Kind, "repeated")
		yield(&n.Missed, n.Kind, "missed")
		yield(&n.Refused, n.Kind, "refused")
	}
}

func eachFiring(r *report, yield func(*uint64, ...string)) {
	if r.Fleet != nil {
		yield(&r.Fleet.Firings.Node, "node")
		yield(&r.Fleet.Firings.Late, "late")
		yield(&r.Fleet.Firings.Peer, "peer")
	}
}

func eachPeer(r *report, yield func(*status.Peer, ...string)) {
	if r.Fleet != nil {
		for i := range r.Fleet.Peers {
			yield(&r.Fleet.Peers[i], r.Fleet.Peers[i].Name)
		}
	}
}

func eachCountry(r *report, yield func(*status.Country, ...string)) {
	for i := range r.Stats.Countries {
		yield(&r.Stats.Countries[i], r.Stats.Countries[i].Name)
	}
}

func eachSeverity(r *report, yield func(*int, ...string)) {
	for _, s := range []status.Severity{status.Critical, status.Warning} {
		n := countOf(r.Problems, s)
		yield(&n, string(s))
	}
}

func eachOutcome(r *report, yield func(*uint64, ...string)) {
	c := &r.Stats.Corroborated
	yield(&c.Confirmed, "confirmed")
	yield(&c.Forged, "forged")
	yield(&c.Unheard, "unheard")
}

func unlessDryRun(r *report, yield func(*report, ...string)) {
	if !r.DryRun {
		yield(r)
	}
}

func ifWhole(r *report, yield func(*kernelTable, ...string)) {
	if r.whole() {
		yield(r.kernel)
	}
}

func eachKernel(r *report, yield func(*status.Kernel, ...string)) {
	if r.kernel != nil {
		for i := range r.kernel.views {
			yield(&r.kernel.views[i], r.kernel.views[i].Action)
		}
	}
}

func eachKernelRead(r *report, yield func(*status.Kernel, ...string)) {
	eachKernel(r, func(k *status.Kernel, labels ...string) {
		if k.Count != nil {
			yield(k, append(labels, k.Chain)...)
		}
	})
}

func countOf(problems []status.Problem, s status.Severity) (n int) {
	for _, p := range problems {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// seconds is a time as Prometheus counts it; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// number is a truth value as Prometheus writes it.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
