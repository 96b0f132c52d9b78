package admin

// newCollector lists the metrics. Numbers of what was read and decided are since
// the start of the program; labels are names from the rule files.
func newCollector(s *Server) *collector {
	c := &collector{server: s}
	c.up = c.describe("freeswitch_security_up", "Whether the engine answers.", nil)
	c.build = c.describe("freeswitch_security_build_info", "The version that runs; the value is 1.", []string{"version"})
	c.ofSources()
	c.ofBelief()
	c.ofRules()
	c.ofBans()
	c.ofActions()
	c.ofDeliveries()
	c.ofKernel()
	c.ofConfiguration()
	return c
}

func (c *collector) ofSources() {
	source := []string{"source"}
	c.counter("freeswitch_security_events_total", "Events that a source has reported.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Events) }))
	c.counter("freeswitch_security_events_dropped_total", "Events that were lost on their way, here or at the switch.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Lost) }))
	c.counter("freeswitch_security_lines_read_total", "Lines that a source has read; frames where it has no lines.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Lines) }))
	c.counter("freeswitch_security_bytes_read_total", "Bytes that a source has read.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Bytes) }))
	c.counter("freeswitch_security_lines_skipped_total", "Lines that were too long to be looked at.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Skipped) }))
	c.counter("freeswitch_security_lines_doubted_total", "Lines that looked like an event and were refused as evidence.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Doubted) }))
	c.counter("freeswitch_security_source_connects_total", "Times that a source was connected to.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Connects) }))
	c.counter("freeswitch_security_switch_restarts_total", "Times that the switch was seen to have been started anew.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Restarts) }))
	c.gauge("freeswitch_security_source_up", "Whether a source is being followed and can be read.", source,
		eachSource(func(s *SourceStatus) float64 { return number01(s.Running && s.Fault == "") }))
	c.gauge("freeswitch_security_source_warning", "Whether something is amiss with a source though it is read.", source,
		eachSource(func(s *SourceStatus) float64 { return number01(s.Warning != "") }))
	c.gauge("freeswitch_security_source_lag_seconds", "How long ago the latest event had happened when it was counted.", source,
		eachSource(func(s *SourceStatus) float64 { return s.Lag.Seconds() }))
	c.gauge("freeswitch_security_source_behind_bytes", "Bytes that are there and were not read yet.", source,
		eachSource(func(s *SourceStatus) float64 { return float64(s.Behind) }))
	c.gauge("freeswitch_security_source_last_event_timestamp_seconds", "Stamp of the latest event; 0: there was none.", source,
		eachSource(func(s *SourceStatus) float64 { return seconds(s.LastEvent) }))
	c.gauge("freeswitch_security_queue_depth", "Reports of sources that wait to be counted.", nil,
		one(func(g *gathered) float64 { return float64(g.Waiting) }))
}

func (c *collector) ofBelief() {
	c.gauge("freeswitch_security_registrations", "Registered phones whose addresses are protected.", nil,
		one(func(g *gathered) float64 { return float64(g.Known.Registrations) }))
	c.counter("freeswitch_security_registrations_evicted_total", "Registrations that had to give way before they were over: there are too many.", nil,
		one(func(g *gathered) float64 { return float64(g.Known.Evicted) }))
	c.counter("freeswitch_security_gateway_addresses_refused_total", "Addresses of gateways that were one too many to be trusted.", nil,
		one(func(g *gathered) float64 { return float64(g.Known.Refused) }))
	c.counter("freeswitch_security_corroborated_events_total", "Events of logs that another source vouches for, by what became of them; those that nobody could vouch for are unheard.", []string{"outcome"},
		func(g *gathered, put put) {
			put(float64(g.Corroborated.Confirmed), "confirmed")
			put(float64(g.Corroborated.Forged), "forged")
			put(float64(g.Corroborated.Unheard), "unheard")
		})
}

func (c *collector) ofRules() {
	rule := []string{"rule"}
	c.counter("freeswitch_security_matches_total", "Events for which the expression of a rule was true.", rule,
		eachRule(func(r *RuleStatus) float64 { return float64(r.Matches) }))
	c.counter("freeswitch_security_firings_total", "Times that a rule has reached its threshold.", rule,
		eachRule(func(r *RuleStatus) float64 { return float64(r.Firings) }))
	c.counter("freeswitch_security_rule_errors_total", "Events for which the expression of a rule could not be evaluated.", rule,
		eachRule(func(r *RuleStatus) float64 { return float64(r.Errors) }))
	c.gauge("freeswitch_security_tracked_keys", "Keys for which a rule keeps a window.", rule,
		eachRule(func(r *RuleStatus) float64 { return float64(r.Tracked) }))
	c.counter("freeswitch_security_evicted_keys_total", "Windows that had to give way before they were over: the rule tracks too many keys.", rule,
		eachRule(func(r *RuleStatus) float64 { return float64(r.Evicted) }))
}

func (c *collector) ofBans() {
	labels := []string{"rule", "source"}
	c.counter("freeswitch_security_bans_total", "Bans, new and extended; without a rule: by hand or by a feed.", labels,
		eachTally(func(t *Tally) uint64 { return t.Bans }))
	c.counter("freeswitch_security_unbans_total", "Bans that have ended.", labels,
		eachTally(func(t *Tally) uint64 { return t.Unbans }))
	c.counter("freeswitch_security_alerts_total", "Alerts: somebody was told, nobody banned.", labels,
		eachTally(func(t *Tally) uint64 { return t.Alerts }))
	c.counter("freeswitch_security_refusals_total", "Bans that were wished for and refused, such as of who is trusted; not of who is banned already.", labels,
		eachTally(func(t *Tally) uint64 { return t.Refusals }))
	c.gauge("freeswitch_security_bans_active", "Bans in force.", nil,
		one(func(g *gathered) float64 { return float64(g.Bans) }))
	c.gauge("freeswitch_security_trusted_entries", "Networks that are never banned.", nil,
		one(func(g *gathered) float64 { return float64(g.Trusted) }))
}

func (c *collector) ofActions() {
	action := []string{"action"}
	c.gauge("freeswitch_security_action_up", "Whether an action agrees with the bans and its last attempt succeeded.", action,
		eachAction(func(a *ActionStatus) float64 { return number01(a.Synced && a.Err == "") }))
	c.histogram("freeswitch_security_apply_seconds", "How long an action took to carry out a batch.",
		func(a *ActionStatus) Histogram { return a.Latency })
	c.histogram("freeswitch_security_apply_batch_size", "Changes in a batch.",
		func(a *ActionStatus) Histogram { return a.Batches })
	c.gauge("freeswitch_security_last_apply_seconds", "How long the latest batch took.", action,
		eachAction(func(a *ActionStatus) float64 { return a.Took.Seconds() }))
	c.gauge("freeswitch_security_last_apply_batch_size", "Changes in the latest batch.", action,
		eachAction(func(a *ActionStatus) float64 { return float64(a.Batch) }))
	c.gauge("freeswitch_security_last_apply_timestamp_seconds", "When the latest batch was carried out; 0: there was none.", action,
		eachAction(func(a *ActionStatus) float64 { return seconds(a.Applied) }))
	c.gauge("freeswitch_security_changes_waiting", "Changes that are not yet carried out.", action,
		eachAction(func(a *ActionStatus) float64 { return float64(a.Waiting) }))
	c.counter("freeswitch_security_drift_repairs_total", "Times that something had to be mended that others had changed.", action,
		eachAction(func(a *ActionStatus) float64 { return float64(a.Drifts) }))
	c.counter("freeswitch_security_changes_dropped_total", "Times that changes were dropped because an action was too slow.", action,
		eachAction(func(a *ActionStatus) float64 { return float64(a.Lost) }))
	c.gauge("freeswitch_security_action_failures", "Failures of an action in a row.", action,
		eachAction(func(a *ActionStatus) float64 { return float64(a.Failures) }))
}

func (c *collector) ofDeliveries() {
	action := []string{"action"}
	c.counter("freeswitch_security_notices_delivered_total", "Notices that have reached those who are told.", action,
		eachDelivery(func(d *Delivery) float64 { return float64(d.Delivered) }))
	c.counter("freeswitch_security_notices_dropped_total", "Notices of which they will never hear.", action,
		eachDelivery(func(d *Delivery) float64 { return float64(d.Dropped) }))
	c.counter("freeswitch_security_deliveries_failed_total", "Attempts to deliver that failed; most of them are made again.", action,
		eachDelivery(func(d *Delivery) float64 { return float64(d.Failed) }))
	c.gauge("freeswitch_security_notices_waiting", "Notices that are not delivered yet.", action,
		eachDelivery(func(d *Delivery) float64 { return float64(d.Waiting) }))
	c.gauge("freeswitch_security_notices_waiting_since_timestamp_seconds", "When the oldest of them was queued; 0: there is none.", action,
		eachDelivery(func(d *Delivery) float64 { return seconds(d.Since) }))
}

func (c *collector) ofKernel() {
	c.gauge("freeswitch_security_kernel_read_success", "Whether what stands in the kernel could be read, all of it: else its numbers are missing. In a dry run nobody looks, and this is missing too.", nil,
		func(g *gathered, put put) {
			if !g.DryRun {
				put(number01(g.whole()))
			}
		})
	c.gauge("freeswitch_iptables_rules_total", "Bans that stand in the kernel, as rules or as entries of a set.", nil,
		ofWhole(func(t *kernelTable) float64 {
			n := 0
			for _, v := range t.views {
				n += len(v.Entries)
			}
			return float64(n)
		}))
	c.gauge("freeswitch_security_kernel_entries", "Bans that stand in the kernel.", []string{"action", "chain"},
		eachView(func(v *KernelView, put put) {
			if !v.Unread {
				put(float64(len(v.Entries)), v.Action, v.Chain)
			}
		}))
	c.gauge("freeswitch_security_kernel_errors", "Reasons why bans are not in force, or could not be read.", []string{"action"},
		eachView(func(v *KernelView, put put) { put(float64(len(v.Errors)), v.Action) }))
	c.gauge("freeswitch_security_kernel_dropped_packets", "Packets that the bans which stand now have stopped.", nil,
		ofWhole(func(t *kernelTable) float64 { return float64(t.packets) }))
	c.gauge("freeswitch_security_kernel_dropped_bytes", "Bytes that the bans which stand now have stopped.", nil,
		ofWhole(func(t *kernelTable) float64 { return float64(t.bytes) }))
}

func (c *collector) ofConfiguration() {
	c.gauge("freeswitch_security_config_reload_success", "Whether the last attempt to load the rules succeeded.", nil,
		one(func(g *gathered) float64 { return number01(g.ReloadError == "") }))
	c.gauge("freeswitch_security_config_reload_timestamp_seconds", "When the rules that run were loaded.", nil,
		one(func(g *gathered) float64 { return seconds(g.Reloaded) }))
	c.gauge("freeswitch_security_state_saved", "Whether the bans are on the disk.", nil,
		one(func(g *gathered) float64 { return number01(g.Unsaved == "") }))
	c.gauge("freeswitch_security_auto_block", "Whether the bans of rules are carried out.", nil,
		one(func(g *gathered) float64 { return number01(g.AutoBlock && !g.DryRun) }))
	c.gauge("freeswitch_security_start_timestamp_seconds", "When the engine started.", nil,
		one(func(g *gathered) float64 { return seconds(g.Started) }))
}
