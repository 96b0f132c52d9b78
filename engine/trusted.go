package engine

import (
	"context"
	"net/netip"

	"freeswitch-security/engine/ban"
)

// Trust trusts networks from now on and unbans what they cover; outcomes are by index. It replaces
// the run-time entries for the same networks. It waits as Ban does, and is safe for concurrent use.
func (e *Engine) Trust(ctx context.Context, entries []ban.Trusted) ([]Outcome, error) {
	return changeAll(ctx, e, entries, func(t ban.Trusted) Outcome {
		ended := e.ledger.Grant(t, e.now)
		for i := range ended {
			e.decide(&ended[i])
		}
		return Outcome{Changes: ended}
	})
}

// Untrust ends the run-time trust in exactly this network, and reports whether there was one. It
// is safe for concurrent use.
func (e *Engine) Untrust(ctx context.Context, network netip.Prefix) (known bool, err error) {
	err = e.Do(ctx, func() { known = e.ledger.Revoke(network) })
	return known, err
}
