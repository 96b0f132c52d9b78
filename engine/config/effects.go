package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
)

// longest bounds the durations of a rule.
const longest = ban.MaxDuration

// decodeThreshold reads `threshold { count within per distinct then }` or `threshold { concurrent per }`.
func (r *ruleBlock) decodeThreshold(b *settings.Block) {
	if b == nil {
		return
	}
	t := &rule.Threshold{Per: rule.Key{{Field: "ip", Network: rule.Host}}}
	r.spec.Threshold = t
	if b.Has("concurrent") {
		r.decodeConcurrent(b)
		return
	}
	switch count, within := b.Has("count"), b.Has("within"); {
	case !count && !within:
		b.Error("", "Empty threshold", "Write how many matches within how long: count = 5 and within = \"10m\". Or how many calls at once: concurrent = 5.")
	case !within:
		b.ErrorAt(b.Attribute("count").Range, "Missing within", "A count needs a window: within = \"10m\".")
	case !count:
		b.ErrorAt(b.Attribute("within").Range, "Missing count", "Write how many matches within this window fire the rule: count = 5.")
	}
	b.Int("count", &t.Count, 1, rule.MaxCount)
	b.Duration("within", &t.Within, 1, longest)
	r.decodePer(b)
	r.decodeDistinct(b)
	if attr := b.Attribute("then"); attr != nil {
		t.Then = r.match(b, attr.Expr)
	}
}

// decodeConcurrent reads `threshold { concurrent per }`. The match must name only events that begin a
// call: others have no end.
func (r *ruleBlock) decodeConcurrent(b *settings.Block) {
	t := r.spec.Threshold
	t.Concurrent = true
	b.Int("concurrent", &t.Count, 1, rule.MaxCount)
	r.decodePer(b)
	for _, name := range []string{"count", "within", "distinct", "then"} {
		if attr := b.Attribute(name); attr != nil {
			b.ErrorAt(attr.NameRange, "Not with concurrent", fmt.Sprintf("concurrent counts the calls that are open now. It takes no %s, only per.", name))
		}
	}
	if m := r.spec.Match; m != nil {
		events := maps.Clone(m.Events())
		delete(events, event.Call)
		delete(events, event.CallAnswered)
		if m.Events() == nil || len(events) > 0 {
			b.ErrorAt(b.Attribute("concurrent").NameRange, "No calls to count", "concurrent counts calls from their beginning, or their answer, to their end. "+
				"The match must name event == 'call' or event == 'call_answered', and no other event.")
		}
	}
}

// decodeScope reads `scope = "fleet"`.
func (r *ruleBlock) decodeScope(b *settings.Block) {
	scope := "node"
	if !b.Enum("scope", &scope, "node", "fleet") || scope == "node" {
		return
	}
	switch t := r.spec.Threshold; {
	case t == nil:
		b.Error("scope", "Nothing to count", "A fleet counts what all of its nodes report, and this rule has no threshold.")
	case t.Concurrent:
		b.Error("scope", "Not with concurrent", "The calls of each node are counted by themselves.")
	default:
		r.spec.Fleet = true
	}
}

// decodeReason reads `reason = "attack tool: <user_agent>"`.
func (r *ruleBlock) decodeReason(b *settings.Block) {
	t, ok := b.Text("reason")
	if !ok || !settings.Parse(b, t, &r.spec.Fact, rule.ParseFact, "Invalid reason", `a text of at most 128 bytes, which may name fields: "dialled <destination>"`) {
		return
	}
	for _, field := range r.spec.Fact.Fields() {
		if why := r.unset(field); why != "" {
			b.ErrorAt(t.Range, rule.WithoutDatabase, why)
		}
	}
}

func (r *ruleBlock) decodePer(b *settings.Block) {
	parts, ok := b.Texts("per")
	if !ok {
		return
	}
	whole := settings.Text{Range: b.At("per"), Written: true}
	var names []string
	for _, part := range parts {
		names = append(names, part.Value)
		whole.Written = whole.Written && part.Written
	}
	key, err := rule.ParseKey(names)
	if err == nil {
		r.spec.Threshold.Per = key
		for _, part := range parts {
			r.checkSet(b, part)
		}
		return
	}
	// The part that is wrong in itself, or else all of them together.
	for _, part := range parts {
		if _, partErr := rule.ParseKey([]string{part.Value}); partErr != nil {
			whole, err = part, partErr
			break
		}
	}
	b.Invalid(whole, "Invalid key", err, `the name of a field, such as "ip", or a list of them`)
}

func (r *ruleBlock) decodeDistinct(b *settings.Block) {
	threshold := r.spec.Threshold
	t, ok := b.Text("distinct")
	if !ok || !settings.Parse(b, t, &threshold.Distinct, rule.ParseDistinct, "Invalid field", `the name of a field, such as "user"`) {
		return
	}
	r.checkSet(b, t)
	counted, _ := rule.ParseKey([]string{threshold.Distinct})
	if threshold.Count > 1 && slices.ContainsFunc(threshold.Per, func(part rule.KeyPart) bool { return part.Within(counted[0]) }) {
		b.ErrorAt(t.Range, "Nothing to count", fmt.Sprintf("Each %s has a window of its own, so a window never has two different ones. Set per to another field.", threshold.Distinct))
	}
}

// defaultForget is how long offences are remembered by default, where the terms depend
// on them.
const defaultForget = 30 * 24 * time.Hour

// decodeBan reads `ban { target enabled for forget network all actions }`.
func (r *ruleBlock) decodeBan(b *settings.Block, hasThreshold bool) {
	if b == nil {
		return
	}
	spec := &rule.Ban{Terms: []ban.Term{r.cfg.Security.BlockDuration}, Network: rule.Host}
	r.spec.Ban = spec
	enabled := true
	b.Bool("enabled", &enabled)
	spec.Off = !enabled
	r.decodeFor(b)
	if !b.Has("forget") && len(spec.Terms) > 1 {
		spec.Forget = defaultForget
	}
	b.Duration("forget", &spec.Forget, 1, longest)
	if t, ok := b.Text("network"); ok {
		settings.Parse(b, t, &spec.Network, rule.ParseNetwork, "Invalid network", `prefix lengths for IPv4 and IPv6, such as "24,64"`)
	}
	decodeTarget(b, spec)
	if b.Bool("all", &spec.All) && spec.All && !hasThreshold {
		b.ErrorAt(b.Attribute("all").Range, "Ban of all without a threshold", "all = true bans every target in the window of a threshold, and this rule has none.")
	}
	spec.Actions = r.actionRefs(b, "actions")
}

// decodeTarget reads what is banned: addresses, accounts or both.
func decodeTarget(b *settings.Block, spec *rule.Ban) {
	targets := []string{"ip"}
	b.Enums("target", &targets, "ip", "user")
	spec.Account = slices.Contains(targets, "user")
	switch {
	case len(targets) == 0:
		b.Error("target", "Empty list", `Write what is banned: target = "user", or leave it out to ban addresses.`)
	case slices.Contains(targets, "ip"):
	case b.Has("network"):
		b.Error("network", "Network of an account", `An account has no network. Remove this, or ban addresses as well: target = ["user", "ip"].`)
	default:
		spec.Network = rule.Network{}
	}
}

// decodeFor reads one term, or a ladder of them.
func (r *ruleBlock) decodeFor(b *settings.Block) {
	steps, ok := b.Texts("for")
	if ok && len(steps) == 0 {
		b.Error("for", "Empty list", "Write at least one term, or leave `for` out to ban for security.block_duration.")
		return
	}
	var terms []ban.Term
	for i, t := range steps {
		var step ban.Term
		if !term(b, t, &step) {
			ok = false
			continue
		}
		if n := len(terms); n > 0 && step < terms[n-1] {
			b.ErrorAt(t.Range, "Term gets shorter", "Each term in the list must be at least as long as the one before it.")
			ok = false
		}
		if step == ban.Permanent && i < len(steps)-1 {
			b.ErrorAt(t.Range, "Nothing follows a permanent ban", "Write \"permanent\" alone or last.")
			return
		}
		terms = append(terms, step)
	}
	if ok {
		r.spec.Ban.Terms = terms
	}
}

// decodeAlert reads `alert { every actions }`.
func (r *ruleBlock) decodeAlert(b *settings.Block) {
	if b == nil {
		return
	}
	r.spec.Alert = &rule.Alert{Every: r.spec.Threshold.HoldOff(), Actions: r.actionRefs(b, "actions")}
	b.Duration("every", &r.spec.Alert.Every, 0, longest)
}

// decodeBrake reads `brake { bans within }`.
func (r *ruleBlock) decodeBrake(b *settings.Block, hasBan bool) {
	if b == nil {
		return
	}
	if !hasBan {
		b.Error("", "Nothing to brake", "A brake limits the bans of a rule, and this rule has no ban block.")
	}
	if !b.Has("bans") || !b.Has("within") {
		b.Error("", "Incomplete brake", "Write how many new bans within how long are allowed: bans = 50 and within = \"10m\".")
	}
	r.spec.Brake = &rule.Brake{}
	b.Int("bans", &r.spec.Brake.Bans, 1, rule.MaxCount)
	b.Duration("within", &r.spec.Brake.Within, 1, longest)
}
