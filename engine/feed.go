package engine

import (
	"context"
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// maxTold bounds the refusals of a listing that are returned one by one.
const maxTold = 100

// list enters the entries of a feed into the ledger, share by share, and unbans those that
// are no longer listed, if the feed banned them.
func (e *Engine) list(ctx context.Context, l plugin.Listing) (plugin.Outcome, error) {
	var out plugin.Outcome
	for orders := range slices.Chunk(l.Orders, share) {
		err := e.between(ctx, func() {
			for _, o := range orders {
				e.enterListed(o, &out)
			}
		})
		if err != nil {
			return out, err
		}
	}
	for gone := range slices.Chunk(l.Gone, share) {
		err := e.between(ctx, func() { e.unbanListed(gone, l.Author, &out) })
		if err != nil {
			return out, err
		}
	}
	return out, e.durable(ctx)
}

// enterListed enters one order. No change is made of a refusal: the feed alone is told,
// and all refusals of a list would be kept until the next commit.
func (e *Engine) enterListed(o ban.Order, out *plugin.Outcome) {
	c := e.ledger.Consider(o, e.now)
	if c.InForce() {
		e.decide(e.ledger.Enter(o, e.now))
		out.Banned++
		return
	}
	e.decide(&c)
	out.Refusals++
	if len(out.Refused) < maxTold {
		out.Refused = append(out.Refused, c)
	}
}

// unbanListed ends the bans of targets that author ordered.
func (e *Engine) unbanListed(targets []netip.Prefix, author string, out *plugin.Outcome) {
	for _, target := range targets {
		if b, ok := e.ledger.Covering(ban.Network(target)); !ok || b.Target != ban.Network(target) || b.Author != author {
			continue
		}
		if c := e.ledger.Withdraw(ban.Network(target), "listed no longer", e.now); c != nil && !c.InForce() {
			out.Unbanned++
			e.decide(c)
		}
	}
}
