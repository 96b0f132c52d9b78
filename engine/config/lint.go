package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// Lint gives warnings about what is right but likely not meant: a rule without a
// test, rules that no source reports anything for, that read or count by what their sources never set, or ban
// for events without an address, a source that no rule names, and bits behind the length of a network. A
// [settings.Notice] tells of a rule that bans at its first event, and of what the enabled sources cannot do:
// protect addresses, or enforce bans of accounts. They come in the order of files and lines, and each has a position.
func Lint(cfg *Config) hcl.Diagnostics {
	diags := slices.Clone(cfg.hints)
	tell := teller(func(severity hcl.DiagnosticSeverity, rng hcl.Range, summary, detail string) {
		diags = append(diags, &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail, Subject: &rng})
	})
	warn := func(rng hcl.Range, summary, detail string) { tell(hcl.DiagWarning, rng, summary, detail) }
	heard, tested := map[string]bool{}, map[string]bool{}
	for _, test := range slices.Concat(cfg.Tests, cfg.Skipped) {
		tested[test.Rule] = true
	}
	var idle, partly, idleBans, unreported []string // rules, and events
	for _, spec := range cfg.Rules {
		if cfg.neverFires(spec) {
			idle = append(idle, spec.Name)
		} else if events := cfg.unreported(spec); len(events) > 0 {
			partly, unreported = append(partly, spec.Name), append(unreported, events...)
		}
		if spec.Bans() && spec.Ban.Account && !cfg.enforcesAccounts(spec) {
			idleBans = append(idleBans, spec.Name)
		}
		if detail := unverified(spec); detail != "" {
			warn(cfg.ruleRanges[spec.Name], "Accounts that are not verified", detail)
		}
		if field := unasked(spec); field != "" {
			warn(cfg.ruleRanges[spec.Name], "True without a database", fmt.Sprintf(
				"The rule %q also matches where %s is empty: at addresses that no database knows, and at all while the database is missing. Add to match: %s != ''.", spec.Name, field, field))
		}
		for _, ref := range spec.On {
			heard[ref] = true
		}
		if what, reason := cfg.unset(spec); reason != "" && !slices.Contains(idle, spec.Name) {
			warn(cfg.ruleRanges[spec.Name], what, reason)
		}
		if bansAtOnce(spec) {
			tell(settings.Notice, cfg.ruleRanges[spec.Name], "Ban at the first event", fmt.Sprintf(
				"The rule %q bans at each single event, and its match asks for nothing else. A user may cause one. If that is not meant, add a threshold: count = 5 and within = \"10m\".", spec.Name))
		}
		if !tested[spec.Name] {
			warn(cfg.ruleRanges[spec.Name], "Rule without a test",
				fmt.Sprintf("No test shows which addresses the rule %q bans. Add a test block to it.", spec.Name))
		}
	}
	if len(idle) > 0 {
		warn(cfg.ruleRanges[idle[0]], "Rules without an event",
			fmt.Sprintf("No source that these rules read reports what they wait for, so they never fire: %s.", listed(idle)))
	}
	if len(partly) > 0 {
		slices.Sort(unreported)
		tell(settings.Notice, cfg.ruleRanges[partly[0]], "Events that are never reported",
			fmt.Sprintf("No source that these rules read reports %s; they count the other events that they name: %s.", strings.Join(slices.Compact(unreported), ", "), listed(partly)))
	}
	cfg.lintProtection(heard, tell)
	cfg.tellIdleBans(idleBans, tell)
	cfg.lintSources(heard, tell)
	return tidy(diags, nil, hcl.Range{})
}

// A teller adds a diagnostic.
type teller func(severity hcl.DiagnosticSeverity, rng hcl.Range, summary, detail string)

// tellIdleBans tells of rules that order bans of accounts which no action enforces. Without an event socket
// there can be none.
func (cfg *Config) tellIdleBans(idleBans []string, tell teller) {
	if len(idleBans) == 0 {
		return
	}
	severity, remedy := hcl.DiagWarning, `Declare an action "accounts".`
	if !slices.ContainsFunc(cfg.Sources, func(s Source) bool { return s.Kind == "esl" }) {
		severity, remedy = settings.Notice, `An action "accounts" does, with a source "esl".`
	}
	tell(severity, cfg.ruleRanges[idleBans[0]], "Bans of accounts without an action",
		fmt.Sprintf("No action that these rules may use enforces bans of accounts, so their orders are refused: %s. %s", listed(idleBans), remedy))
}

// lintProtection notes in heard the sources that name the addresses of security.protect, and tells of words
// without one.
func (cfg *Config) lintProtection(heard map[string]bool, tell teller) {
	var idleWords []string
	var first hcl.Range
	for _, word := range slices.Sorted(maps.Keys(cfg.protectRanges)) {
		telling := sourcesOf(cfg, protectWords[word])
		for _, ref := range telling {
			heard[ref] = true
		}
		if len(telling) == 0 {
			idleWords = append(idleWords, fmt.Sprintf("%q (a source %q does)", word, namer(word)))
			first = cmp.Or(first, cfg.protectRanges[word])
		}
	}
	if len(idleWords) > 0 {
		tell(settings.Notice, first, "Protection without a source",
			fmt.Sprintf("No enabled source reports the addresses of these words, so they protect none: %s.", strings.Join(idleWords, ", ")))
	}
}

// unset says why a rule cannot work with what its sources set in events, in short and in full; "" if it can.
func (cfg *Config) unset(spec *rule.Spec) (what, reason string) {
	sources := strings.Join(spec.On, ", source.")
	if fires := spec.FiredBy(); spec.BansAddresses() && !cfg.sets(spec.On, fires, "ip") {
		return "Ban without an address", fmt.Sprintf("The rule %q bans addresses, and the event %s of source.%s has none. Ban at another event, or write alert {} in place of ban.", spec.Name, named(fires), sources)
	}
	if th := spec.Threshold; th != nil {
		for _, field := range spec.CountsBy() {
			if events := spec.Match.Events(); !cfg.sets(spec.On, events, field) {
				return "Nothing to count by", fmt.Sprintf("The rule %q counts by %s, which source.%s never sets in the event %s, so it never fires. Set per and distinct to fields that EVENTS.md lists for it.",
					spec.Name, field, sources, named(events))
			}
		}
	}
	matchers := []*rule.Matcher{spec.Match}
	if spec.Threshold != nil && spec.Threshold.Then != nil {
		matchers = append(matchers, spec.Threshold.Then)
	}
	for _, matcher := range matchers {
		matcher.Comparisons(func(fields []string, events map[string]bool) {
			for _, field := range fields {
				f := event.FieldNamed(field)
				if reason != "" || f != nil && f.Kind == event.Flag || cfg.sets(spec.On, events, field) { // a flag is false, which a rule may ask for
					continue
				}
				name := field
				if raw, is := event.RawField(field); is {
					name = fmt.Sprintf("fields['%s']", raw)
				}
				what, reason = "Field that is never set", fmt.Sprintf("The rule %q reads %s, which source.%s never sets in the event %s: what is compared with it there has no effect. EVENTS.md lists what each source sets.",
					spec.Name, name, sources, named(events))
			}
		})
	}
	return what, reason
}

// named lists events; nil: any.
func named(events map[string]bool) string {
	if events == nil {
		return "of any name"
	}
	return strings.Join(slices.Sorted(maps.Keys(events)), ", ")
}

// sets reports whether one of the sources can set a field in one of the events; nil: in any. If they report
// none of the events, it is true.
func (cfg *Config) sets(refs []string, events map[string]bool, field string) bool {
	raw, isRaw := event.RawField(field)
	f := event.FieldNamed(field)
	if !isRaw && (f == nil || !f.Settable || field == "event") || isRaw && raw == "" {
		return true
	}
	reported := false
	for _, source := range cfg.Sources {
		if !slices.Contains(refs, source.Ref) {
			continue
		}
		for _, e := range source.Description.Events {
			if events != nil && !events[e.Name] {
				continue
			}
			reported = true
			if !isRaw && (len(e.Fields) == 0 || slices.Contains(e.Fields, field)) || isRaw && (e.Open || slices.Contains(e.Raw, raw)) {
				return true
			}
		}
	}
	return !reported
}

// bansAtOnce reports whether a rule bans addresses at each single event of some name, whatever is in it.
func bansAtOnce(spec *rule.Spec) bool {
	if spec.Threshold != nil || !spec.BansAddresses() {
		return false
	}
	more := false
	spec.Match.Comparisons(func(fields []string, _ map[string]bool) {
		more = more || slices.ContainsFunc(fields, func(f string) bool { return f != "event" && f != "source" })
	})
	return !more
}

// unasked returns a field from a database that a rule compares without asking whether it is there; "": there is none.
func unasked(spec *rule.Spec) string {
	for _, f := range event.Fields {
		th := spec.Threshold
		if f.Needs != "" && (spec.Match.Negates(f.Name) || th != nil && th.Then != nil && th.Then.Negates(f.Name)) {
			return f.Name
		}
	}
	return ""
}

// lintSources tells of sources that no rule names, or once that there is no rule at all: for feeds alone none is needed.
func (cfg *Config) lintSources(heard map[string]bool, tell teller) {
	for _, source := range cfg.Sources {
		heard[source.Description.Corroborate.Value] = true
	}
	for _, action := range cfg.Actions {
		heard[action.Source] = true
	}
	onlyFeeds := len(cfg.Sources) > 0
	for _, source := range cfg.Sources {
		onlyFeeds = onlyFeeds && source.Description.Feed
		if len(cfg.ruleRanges) > 0 && !source.Description.Feed && !heard[source.Ref] {
			tell(hcl.DiagWarning, source.Range, "Unused source",
				fmt.Sprintf("No rule names source.%s. Name it in a rule, or remove it.", source.Ref))
		}
	}
	if len(cfg.ruleRanges) == 0 {
		severity := hcl.DiagWarning
		if onlyFeeds {
			severity = settings.Notice
		}
		tell(severity, cfg.dir, "No rules", "There is no rule in this directory, so nothing is counted and nothing is banned but by feeds and by hand. Copy the shipped rules into it, or write one.")
	}
}

// unverified says why a rule that bans accounts does not do so for what verified callers did; "" if it
// does, or bans no accounts.
func unverified(spec *rule.Spec) string {
	if spec.Ban == nil || !spec.Ban.Account {
		return ""
	}
	fires, counts := spec.FiredBy(), spec.Match.Events()
	switch {
	case fires != nil && !slices.ContainsFunc(event.VerifiedEvents, func(name string) bool { return fires[name] }):
		return fmt.Sprintf("No event that fires the rule %q says that the switch verified a password, so it bans no account. These can: %s.",
			spec.Name, strings.Join(event.VerifiedEvents, ", "))
	case (counts[event.Call] || counts[event.CallAnswered]) && spec.Threshold != nil && spec.Threshold.Count > 1 && !strings.Contains(spec.Match.String(), authorized):
		return fmt.Sprintf("The rule %q counts calls without a password, so any caller can complete its threshold in the name of an account. Add to match: fields['%s'] == 'true'.",
			spec.Name, authorized)
	}
	return ""
}

// authorized is the raw field of a call that the switch let in, by a password or an access list.
const authorized = "variable_sip_authorized"

// neverFires reports whether no source of a rule reports what it waits for.
func (cfg *Config) neverFires(spec *rule.Spec) bool {
	th := spec.Threshold
	return !cfg.reports(spec.On, spec.Match) || th != nil && (!cfg.reports(spec.On, th.Then) || th.Concurrent && !cfg.endsCalls(spec.On))
}

// unreported lists the events that a rule names and that none of its sources reports.
func (cfg *Config) unreported(spec *rule.Spec) (events []string) {
	for _, name := range slices.Sorted(maps.Keys(spec.Match.Events())) {
		if !slices.ContainsFunc(sourcesOf(cfg, name), func(ref string) bool { return slices.Contains(spec.On, ref) }) {
			events = append(events, name)
		}
	}
	return events
}

// enforcesAccounts reports whether an action that a rule may use enforces bans of accounts.
func (cfg *Config) enforcesAccounts(spec *rule.Spec) bool {
	return slices.ContainsFunc(cfg.Actions, func(a Action) bool {
		return a.Blocks && slices.Contains(a.Targets, ban.TargetAccount) && (spec.Ban.Actions == nil || slices.Contains(spec.Ban.Actions, a.Ref))
	})
}

// namer is the kind of source that names the addresses of a word of security.protect.
func namer(word string) string {
	if word == "dialogues" {
		return "sip"
	}
	return "esl"
}

// reports reports whether one of the sources can report an event that an expression
// matches. nil matches every event.
func (cfg *Config) reports(refs []string, matcher *rule.Matcher) bool {
	if matcher == nil || matcher.Events() == nil {
		return true
	}
	return slices.ContainsFunc(cfg.Sources, func(s Source) bool {
		return slices.Contains(refs, s.Ref) && slices.ContainsFunc(s.Description.Events, func(e plugin.EventSpec) bool { return matcher.Events()[e.Name] })
	})
}

// endsCalls reports whether one of the sources reports the ends of calls.
func (cfg *Config) endsCalls(refs []string) bool {
	return slices.ContainsFunc(sourcesOf(cfg, event.CallEnded), func(ref string) bool { return slices.Contains(refs, ref) })
}

// sourcesOf lists the sources that can report an event.
func sourcesOf(cfg *Config, event string) []string {
	var refs []string
	for _, source := range cfg.Sources {
		if slices.Contains(source.Description.Events.Names(), event) {
			refs = append(refs, source.Ref)
		}
	}
	return refs
}
