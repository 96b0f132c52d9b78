package engine

import (
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
)

// TestTargetsOfActions bans an account: it is refused until an action that blocks handles
// accounts, and passed to that action alone.
func TestTargetsOfActions(t *testing.T) {
	account := ban.Account("1000", "pbx")
	order := ban.Order{Target: account, Author: "api alice", ByHand: true, At: morning, Terms: []ban.Term{ban.Term(time.Hour)}}
	drop := config.Action{Ref: "iptables.drop", Blocks: true}
	cfg := guessing(t)
	cfg.Actions = []config.Action{drop, {Ref: "webhook.noc", Targets: []ban.TargetKind{ban.TargetAccount}}}
	e := New(cfg, Options{})
	if c := e.ledger.Enter(order, morning); c.Kind != ban.KindRefuse || c.Why != "no action of the rule files can ban a target of the kind account" {
		t.Fatalf("no action handles accounts: %s %q", c.Kind, c.Why)
	}
	locks := config.Action{Ref: "locks.x", Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}}
	cfg.Actions = append(cfg.Actions, locks)
	e.Reload(cfg)
	c := e.ledger.Enter(order, morning)
	if !c.InForce() {
		t.Fatalf("an action handles accounts: %s", c.Why)
	}
	address := ban.Ban{Target: ban.Address(netip.MustParseAddr("203.0.113.7"))}
	for _, test := range []struct {
		action           config.Action
		account, address bool
	}{{drop, false, true}, {locks, true, false}, {cfg.Actions[1], true, false}} {
		wants := wants(test.action, true)
		if wants(&c.Ban) != test.account || wants(&address) != test.address || !wants(&ban.Ban{}) {
			t.Errorf("%s: account %t, address %t, none %t", test.action.Ref, wants(&c.Ban), wants(&address), wants(&ban.Ban{}))
		}
	}
}
