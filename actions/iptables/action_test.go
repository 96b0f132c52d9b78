package iptables

import (
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings/settingstest"
)

// trusted is what the rule files of the tests trust.
var trusted = []netip.Prefix{netip.MustParsePrefix("203.0.113.4/32")}

// parse makes an action from the body of a block.
func parse(t testing.TB, body string) *Action {
	t.Helper()
	b := settingstest.Block(t, "rules.hcl", body, nil)
	a := Kind.New(b, plugin.ActionEnv{Name: "iptables.drop", Chain: "FREESWITCH", Claim: func(string) {}, Trusted: trusted})
	if b.Done(); b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	return a.(*Action)
}

func banOf(target string, until time.Time) ban.Ban {
	return ban.Ban{Target: targetOf(target), Until: until}
}

// targetOf reads a target, and keeps a network as it is written.
func targetOf(text string) ban.Target {
	if p, err := netip.ParsePrefix(text); err == nil {
		return ban.Network(p)
	}
	t, err := ban.ParseTarget(text)
	if err != nil {
		panic(err)
	}
	return t
}

func banned(target string, until time.Time) ban.Change {
	return ban.Change{Kind: ban.KindBan, Ban: banOf(target, until)}
}

func unban(target string) ban.Change {
	return ban.Change{Kind: ban.KindUnban, Ban: banOf(target, time.Time{})}
}
