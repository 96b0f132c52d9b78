package config

import (
	"fmt"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"

	"github.com/hashicorp/hcl/v2"
)

var thresholdSchema = &hcl.BodySchema{Attributes: attributes("count", "within", "per", "distinct", "then")}

// decodeThreshold reads `threshold { count within per distinct then }`.
func (r *ruleBlock) decodeThreshold(block *hcl.Block) {
	if block == nil {
		return
	}
	attrs := r.content(block, thresholdSchema).Attributes
	t := &rule.Threshold{Per: rule.Key{{Field: "ip", Network: rule.Host}}}
	r.spec.Threshold = t
	switch count, within := attrs["count"], attrs["within"]; {
	case count == nil && within == nil:
		r.errorAt(header(block), "Empty threshold", "Say how many matches within how long: count = 5 and within = \"10m\".")
	case within == nil:
		r.errorAt(count.Range, "Missing within", "A count needs the time in which it is counted: within = \"10m\".")
	case count == nil:
		r.errorAt(within.Range, "Missing count", "Say how many matches within this time are too many: count = 5.")
	}
	if attr := attrs["count"]; attr != nil {
		t.Count, _ = r.wholeNumber(attr.Expr, 1, rule.MaxCount)
	}
	if attr := attrs["within"]; attr != nil {
		t.Within, _ = r.duration(attr.Expr)
	}
	if attr := attrs["per"]; attr != nil {
		r.decodePer(attr.Expr)
	}
	if attr := attrs["distinct"]; attr != nil {
		r.decodeDistinct(attr.Expr)
	}
	if attr := attrs["then"]; attr != nil {
		t.Then = r.match(attr.Expr)
	}
}

func (r *ruleBlock) decodePer(expr hcl.Expression) {
	parts, ok := r.texts(expr)
	if !ok {
		return
	}
	var names []string
	for _, part := range parts {
		names = append(names, part.string)
	}
	key, err := rule.ParseKey(names)
	if err == nil {
		r.spec.Threshold.Per = key
		return
	}
	// The part that is wrong in itself, or else all of them together.
	all := text{rng: expr.Range(), written: isWritten(expr)}
	for _, part := range parts {
		if _, partErr := rule.ParseKey([]string{part.string}); partErr != nil {
			all, err = part, partErr
			break
		}
	}
	r.invalid(all, "Invalid key", err, `the name of a field, such as "ip", or a list of them`)
}

func (r *ruleBlock) decodeDistinct(expr hcl.Expression) {
	t, ok := r.text(expr)
	if !ok {
		return
	}
	field, err := rule.ParseField(t.string)
	if err != nil {
		r.invalid(t, "Invalid field", err, `the name of a field, such as "user"`)
		return
	}
	threshold := r.spec.Threshold
	threshold.Distinct = field
	same := func(part rule.KeyPart) bool {
		return part.Field == field && (part.Network == rule.Network{} || part.Network == rule.Host)
	}
	if threshold.Count > 1 && slices.ContainsFunc(threshold.Per, same) {
		r.errorAt(t.rng, "Nothing to count", fmt.Sprintf("Each %s is counted on its own, so there are never two different ones in a window. Set per to something else.", field))
	}
}

var banSchema = &hcl.BodySchema{Attributes: attributes("for", "forget", "network", "all", "actions")}

// defaultForget is how long offences are remembered where a ban gets longer with
// them and nothing else is said.
const defaultForget = 30 * 24 * time.Hour

// decodeBan reads `ban { for forget network all actions }`.
func (r *ruleBlock) decodeBan(block *hcl.Block, hasThreshold bool) {
	if block == nil {
		return
	}
	attrs := r.content(block, banSchema).Attributes
	b := &rule.Ban{Terms: []ban.Term{r.cfg.Security.BlockDuration}, Network: rule.Host}
	r.spec.Ban = b
	if attr := attrs["for"]; attr != nil {
		r.decodeFor(attr.Expr)
	}
	if attr := attrs["forget"]; attr != nil {
		b.Forget, _ = r.duration(attr.Expr)
	} else if len(b.Terms) > 1 {
		b.Forget = defaultForget
	}
	if attr := attrs["network"]; attr != nil {
		if t, ok := r.text(attr.Expr); ok {
			network, err := rule.ParseNetwork(t.string)
			if err != nil {
				r.invalid(t, "Invalid network", err, `prefix lengths for IPv4 and IPv6, such as "24,64"`)
			}
			b.Network = network
		}
	}
	if attr := attrs["all"]; attr != nil {
		b.All, _ = r.flag(attr.Expr)
		if b.All && !hasThreshold {
			r.errorAt(attr.Range, "Nothing to ban all of", "all = true bans every address in the window of a threshold, and this rule has none.")
		}
	}
	if attr := attrs["actions"]; attr != nil {
		b.Actions, _ = r.references(attr, r.actionReferent())
	}
}

// decodeFor reads how long: one term, or a ladder of them.
func (r *ruleBlock) decodeFor(expr hcl.Expression) {
	steps, ok := r.texts(expr)
	if ok && len(steps) == 0 {
		r.errorAt(expr.Range(), "Empty list", "Give at least one length, or leave `for` out to ban for security.block_duration.")
		return
	}
	var terms []ban.Term
	for i, t := range steps {
		term, good := r.term(t)
		if !good {
			ok = false
			continue
		}
		if n := len(terms); n > 0 && term < terms[n-1] {
			r.errorAt(t.rng, "Ban gets shorter", "Each time in the list must be as long as the one before it, or longer.")
			ok = false
		}
		if term == ban.Permanent && i < len(steps)-1 {
			r.errorAt(t.rng, "Nothing follows a permanent ban", "\"permanent\" must stand alone or last.")
			return
		}
		terms = append(terms, term)
	}
	if ok {
		r.spec.Ban.Terms = terms
	}
}

var alertSchema = &hcl.BodySchema{Attributes: attributes("every", "actions")}

// decodeAlert reads `alert { every actions }`.
func (r *ruleBlock) decodeAlert(block *hcl.Block) {
	if block == nil {
		return
	}
	attrs := r.content(block, alertSchema).Attributes
	r.spec.Alert = &rule.Alert{Every: r.spec.Threshold.HoldOff()}
	if attr := attrs["every"]; attr != nil {
		r.spec.Alert.Every, _ = r.offset(attr.Expr)
	}
	if attr := attrs["actions"]; attr != nil {
		r.spec.Alert.Actions, _ = r.references(attr, r.actionReferent())
	}
}

var brakeSchema = &hcl.BodySchema{Attributes: attributes("bans", "within")}

// decodeBrake reads `brake { bans within }`.
func (r *ruleBlock) decodeBrake(block *hcl.Block, hasBan bool) {
	if block == nil {
		return
	}
	if !hasBan {
		r.errorAt(header(block), "Nothing to brake", "A brake limits the bans of a rule, and this rule has no ban block.")
	}
	attrs := r.content(block, brakeSchema).Attributes
	bans, within := attrs["bans"], attrs["within"]
	r.spec.Brake = &rule.Brake{}
	if bans == nil || within == nil {
		r.errorAt(header(block), "Incomplete brake", "Say how many new bans within how long are allowed: bans = 50 and within = \"10m\".")
	}
	if bans != nil {
		r.spec.Brake.Bans, _ = r.wholeNumber(bans.Expr, 1, rule.MaxCount)
	}
	if within != nil {
		r.spec.Brake.Within, _ = r.duration(within.Expr)
	}
}
