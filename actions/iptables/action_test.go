package iptables

import (
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2/hclparse"
)

// trusted is what the rule files of the tests trust.
var trusted = []netip.Prefix{netip.MustParsePrefix("203.0.113.4/32")}

// parse makes an action from the body of a block.
func parse(t testing.TB, body string) *Action {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL([]byte(body), "rules.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a, diags := Kind.New(file.Body, plugin.ActionEnv{Name: "iptables.drop", Chain: "FREESWITCH", Trusted: trusted})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return a.(*Action)
}

func banOf(target string, until time.Time) ban.Ban {
	return ban.Ban{Target: netip.MustParsePrefix(target), Until: until}
}

func banned(target string, until time.Time) ban.Change {
	return ban.Change{Kind: ban.Banned, Ban: banOf(target, until)}
}

func unban(target string) ban.Change {
	return ban.Change{Kind: ban.Lifted, Ban: banOf(target, time.Time{})}
}
