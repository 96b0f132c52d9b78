package engine

import (
	"context"
	"net/netip"
	"slices"

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
	out.Lifted = g.ledger.Grant(ban.Grant{
		Network: t.Network, Author: t.Author, Comment: t.Comment, Since: t.Since, Until: t.Until,
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
	for _, t := range g.ledger.Trust().All() {
		all = append(all, Trusted{Trusted: t})
	}
	for _, grant := range g.ledger.Grants() {
		all = append(all, Trusted{
			Trusted: ban.Trusted{Network: grant.Network, Name: "whitelist", Comment: grant.Comment},
			RunTime: true, Author: grant.Author, Since: grant.Since, Until: grant.Until,
		})
	}
	slices.SortStableFunc(all, func(a, b Trusted) int { return a.Network.Compare(b.Network) })
	return all
}
