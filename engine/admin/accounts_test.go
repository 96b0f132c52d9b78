package admin

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"
)

// withAccounts gives the engine of a lab an action that enforces bans of accounts, and returns it.
func (l *lab) withAccounts() *wall {
	l.t.Helper()
	held := &wall{entries: map[ban.Target]status.Entry{}}
	cfg := l.configuration()
	cfg.Actions = append(cfg.Actions, config.Action{Ref: "accounts.pbx", Action: held, Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}})
	if err := l.engine.Do(context.Background(), func() { l.engine.Reload(cfg) }); err != nil {
		l.t.Fatal(err)
	}
	for { // its first resync would take the first ban, and this wall does not resync
		s, err := l.engine.Status(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		if slices.ContainsFunc(s.Actions, func(a status.Action) bool { return a.Name == "accounts.pbx" && a.Synced }) {
			return held
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAccounts bans, shows and unbans an account as any other target.
func TestAccounts(t *testing.T) {
	l := newLab(t, nil)
	l.want(409, "no action of the rule files can ban a target of the kind account", "POST", "/security/blacklist", `{"ip":"1007@pbx"}`)
	held := l.withAccounts()
	l.want(200, `"target":"1007@pbx","applied":true`, "POST", "/security/blacklist", `{"ip":"user:1007@PBX","ttl":"2h","reason":"calls at night"}`)
	l.want(200, "already banned", "POST", "/security/blacklist", `{"ip":"1007@pbx","ttl":"1h"}`)
	l.want(400, "nor an account such as", "POST", "/security/blacklist", `{"ip":"sip:1007@pbx"}`)
	l.want(200, `"packets":null,"bytes":null,"applied":true`, "GET", "/security/blacklist/"+escaped("1007@pbx"), "")
	l.want(200, `"target":"1007@pbx"`, "GET", "/security/blacklist/"+escaped("user:1007@pbx"), "")
	l.want(200, `{"1007@pbx":{"target":"1007@pbx"`, "GET", "/security/blacklist", "")
	l.want(200, `"bans":[]`, "GET", "/security/blacklist?format=list&cursor=1007@pbx", "")
	l.want(404, "1008@pbx is not banned", "GET", "/security/blacklist/1008@pbx", "")
	held.set(func(w *wall) { delete(w.entries, ban.Account("1007", "pbx")) })
	l.server.kernel.outdate()
	l.want(200, `"packets":null,"bytes":null,"applied":false`, "GET", "/security/blacklist/1007@pbx", "")
	l.want(400, "such as 1000@pbx.example", "POST", "/security/blacklist", `{"ip":"@pbx"}`)
	l.want(400, "such as 1000@pbx.example", "POST", "/security/blacklist", `{"ip":"1007"}`)
	l.want(409, "an account is banned with its domain", "POST", "/security/blacklist", `{"ip":"1007@*"}`)
	l.want(200, `"applied":true`, "POST", "/security/blacklist", `{"ip":"a\"b@pbx"}`)
	if all := parse[map[ban.Target]any](t, l.want(200, "", "GET", "/security/blacklist", "")); len(all) != 2 {
		t.Error(all)
	}
	l.want(200, `"unbanned":["1007@pbx"]`, "DELETE", "/security/blacklist/1007@pbx?grace=1h", "")
	if _, banned := l.engine.Ledger().Covering(ban.Account("1007", "pbx")); banned {
		t.Error("still banned")
	}
}

// TestTrustedAccounts trusts an account, in one domain and in any.
func TestTrustedAccounts(t *testing.T) {
	l := newLab(t, nil)
	l.withAccounts()
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"2001@pbx"}`)
	l.want(200, `"unbanned":["2001@pbx"]`, "POST", "/security/whitelist", `{"ip":"2001@*","comment":"the dialer"}`)
	l.want(409, "trusted: whitelist, the dialer", "POST", "/security/blacklist", `{"ip":"2001@other"}`)
	l.want(200, "", "POST", "/security/whitelist", `{"ip":"user:2001@pbx"}`)
	l.want(200, `"target":"2001@pbx"`, "GET", "/security/whitelist/2001@pbx", "")
	l.want(200, `"target":"2001@*"`, "GET", "/security/whitelist/2001@other", "")
	l.want(404, "2002@pbx is not trusted", "GET", "/security/whitelist/2002@pbx", "")
	l.want(200, `"2001@*":{`, "GET", "/security/whitelist", "")
	l.want(200, `{"trusted":[{"target":"2001@pbx"`, "GET", "/security/whitelist?format=list&cursor=2001@*", "")
	l.want(400, "trust its address", "POST", "/security/whitelist", `{"ip":"203.0.113.7:5060/udp"}`)
	l.want(200, "2001@pbx untrusted; 2001@pbx is still trusted by whitelist", "DELETE", "/security/whitelist/2001@pbx", "")
	l.want(200, "2001@* untrusted", "DELETE", "/security/whitelist/2001@pbx", "")
	l.want(200, `"applied":true`, "POST", "/security/blacklist", `{"ip":"2001@pbx"}`)
}

// TestAppliedByKind: a ban waits for actions that enforce bans of its kind, and for no others.
func TestAppliedByKind(t *testing.T) {
	for name, test := range map[string]struct {
		breaks           func(kernel, pbx *wall)
		address, account string
	}{
		"no switch":   {func(_, pbx *wall) { pbx.stuck = errors.New("no switch") }, `"applied":true`, `: no switch"`},
		"no iptables": {func(kernel, _ *wall) { kernel.stuck = errors.New("no iptables") }, `: no iptables"`, `"applied":true`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			pbx := l.withAccounts()
			pbx.set(func(pbx *wall) { l.wall.set(func(kernel *wall) { test.breaks(kernel, pbx) }) })
			l.want(200, test.account, "POST", "/security/blacklist", `{"ip":"1007@pbx"}`)
			l.want(200, test.address, "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
		})
	}
}
