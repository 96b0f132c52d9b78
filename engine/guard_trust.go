package engine

import (
	"context"
	"net/netip"

	"freeswitch-security/engine/ban"
)

// Trust implements admin.Guard.
func (g *Guard) Trust(ctx context.Context, entries []Trusted) ([]TrustOutcome, error) {
	outcomes, why, err := changeAll(ctx, g, entries, g.grant)
	if err != nil {
		return outcomes, err
	}
	for i := range outcomes {
		outcomes[i].Applied, outcomes[i].Why = why == "", why
	}
	return outcomes, nil
}

// grant trusts one network. It must be called on the goroutine that counts.
func (g *Guard) grant(t Trusted) (out TrustOutcome) {
	out.Lifted = g.ledger.Grant(ban.Trusted{
		Name: "whitelist", Network: t.Network, Author: t.Author, Comment: t.Comment, Since: t.Since, Until: t.Until,
	}, g.now)
	for _, c := range out.Lifted {
		g.decide(&c)
	}
	return out
}

// Untrust implements admin.Guard.
func (g *Guard) Untrust(ctx context.Context, network netip.Prefix) (known bool, err error) {
	err = g.Do(ctx, func() { known = g.ledger.Revoke(network) })
	return known, err
}

// Trusted implements admin.Guard.
func (g *Guard) Trusted() []Trusted {
	var all []Trusted
	for _, t := range g.ledger.AllTrusted() {
		all = append(all, Trusted{Trusted: t, RunTime: t.Author != "", Author: t.Author, Since: t.Since, Until: t.Until})
	}
	return all
}
