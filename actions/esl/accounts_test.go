package esl

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
)

// A guard is a ledger, and the action that enforces its bans of accounts.
type guard struct {
	*Accounts
	ledger *ban.Ledger
	runner *enforce.Runner
	stop   func()
}

// guard makes a guard of the switch.
func (p *pbx) guard() *guard {
	g := &guard{Accounts: newAccounts("accounts.pbx", esl.Switch{Address: p.Addr(), Password: "ClueCon"}), ledger: ban.NewLedger(ban.NewTrust(nil))}
	g.relists = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}
	g.emergency = isHelp
	g.ledger.SetKinds([]ban.TargetKind{ban.TargetAccount})
	return g
}

// protect starts a guard with bans at the switch.
func (p *pbx) protect(t *testing.T, accounts ...string) *guard {
	t.Helper()
	g := p.guard()
	for _, account := range accounts {
		g.enter(t, account)
	}
	g.run(t)
	return g
}

// run runs the action as the engine does.
func (g *guard) run(t *testing.T) {
	g.runner = enforce.New("accounts.pbx", g.Accounts, g.ledger, func(*ban.Ban) bool { return true }, slog.New(slog.DiscardHandler))
	if err := g.Open(plugin.Host{Resync: g.runner.Resync}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { g.Serve(ctx) })
	all.Go(func() { g.runner.Run(ctx) })
	g.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(g.stop)
}

func (g *guard) enter(t *testing.T, account string) {
	t.Helper()
	target, err := ban.ParseTarget(account)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if c := g.ledger.Enter(ban.Order{Target: target, Author: "api", At: now, Terms: []ban.Term{ban.Permanent}}, now); !c.InForce() {
		t.Fatalf("%s: %+v", account, c)
	}
	g.ledger.Publish()
}

// quiet waits for the last of the readings of the lists that follow a connection.
func (g *guard) quiet(t *testing.T) {
	t.Helper()
	eventually(t, "the lists read after the connection", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.sweepAt.After(g.up.Add(sweepEvery / 2))
	})
	if err := g.settled(t); err != nil { // it has begun; this waits for its end
		t.Fatal(err)
	}
}

// ban bans an account, and returns once the switch has answered that nothing of it is up.
func (g *guard) ban(t *testing.T, account string) error {
	t.Helper()
	g.enter(t, account)
	return g.settled(t)
}

func (g *guard) settled(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := g.runner.Settled(ctx, g.ledger.Seq()); err != nil {
		return err
	}
	_, err := g.runner.InForce(ctx, false)
	return err
}

func (g *guard) unban(t *testing.T, account string) {
	t.Helper()
	target, err := ban.ParseTarget(account)
	if err != nil {
		t.Fatal(err)
	}
	g.ledger.Unban(target, "by api", time.Now(), 0)
	g.ledger.Publish()
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that the switch shows.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("after 10 s not: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (p *pbx) gone(t *testing.T, uuids ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("calls %v ended", uuids), func() bool {
		up := p.calls()
		return !slices.ContainsFunc(uuids, func(uuid string) bool { return slices.Contains(up, uuid) })
	})
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, uuid(i+1))
	}
	return all
}

// TestAccountsEndsListedCalls bans an account with ten calls, which claim to be of others, beside calls of
// others that claim to be of it.
func TestAccountsEndsListedCalls(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t)
	thief := digest("1007", "pbx.example")
	for i := range 10 {
		c := thief
		switch i % 4 {
		case 1:
			c.account, c.realm = "1007", "PBX.Example"
		case 2:
			c.from, c.presence, c.code = "2000@pbx.example", "2000@pbx.example", "2000"
		case 0:
			c = caller{more: map[string]string{"Caller-Source": "mod_verto", "Caller-Username": "1007@pbx.example", "variable_sip_authorized": "true",
				"variable_sip_auth_username": "2000", "variable_sip_auth_realm": "pbx.example", "variable_user_name": "2000", "variable_domain_name": "pbx.example"}}
		case 3: // of a profile with a domain of its own, and a user with a number-alias
			c.realm, c.from, c.presence = "chosen.example", "1007@chosen.example", "1007@chosen.example"
		}
		p.dial(uuid(i+1), c)
	}
	others := map[string]caller{
		"another account that claims to be it": {account: "2000", realm: "pbx.example", domain: "pbx.example", from: "1007@pbx.example", presence: "1007@pbx.example", code: "1007"},
		"the same name in another domain":      digest("1007", "other.example"),
		"a carrier's call with its name":       {from: "1007@pbx.example", presence: "1007@pbx.example"},
		"a call to it for which the dialplan has set the user": {from: "49301234@carrier.example", more: map[string]string{
			"variable_sip_authorized": "true", "variable_user_name": "1007", "variable_domain_name": "pbx.example"}},
		"a leg to it": {presence: "1007@pbx.example", more: map[string]string{"Call-Direction": "outbound", "variable_sip_auth_username": "1007", "variable_sip_auth_realm": "pbx.example", "variable_sip_authorized": "true"}},
		"a browser that sets its variables": {more: map[string]string{"Caller-Source": "mod_verto", "Caller-Username": "2000@pbx.example",
			"variable_sip_authorized": "true", "variable_sip_auth_username": "1007", "variable_sip_auth_realm": "pbx.example", "variable_verto_user": "1007@pbx.example"}},
	}
	var untouched []string
	for name, c := range others {
		p.dial(name, c)
		untouched = append(untouched, name)
	}
	began := time.Now()
	if err := g.ban(t, "1007@pbx.example"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("ten calls ended after %s", took)
	}
	up := p.calls()
	slices.Sort(up)
	slices.Sort(untouched)
	if !slices.Equal(up, untouched) {
		t.Errorf("up:\n%q\nwant:\n%q", up, untouched)
	}
	// The same callers again: now the switch reports them.
	for name, c := range others {
		p.dial(name+" again", c)
	}
	p.dial(uuid(11), thief)
	p.gone(t, uuid(11))
	if up := p.calls(); len(up) != 2*len(others) {
		t.Errorf("up: %q", up)
	}
}

// TestAccountsEndsNewCalls measures at the switch how long each of 500 new calls is up. A machine that has other
// work may need a second round.
func TestAccountsEndsNewCalls(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t, "1007@pbx.example")
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
	thief, calls := digest("1007", "pbx.example"), names(500)
	for range 5 {
		var took []time.Duration
		for ten := range slices.Chunk(calls, 10) {
			for _, name := range ten {
				p.dial(name, thief)
			}
			p.gone(t, ten...)
			for _, name := range ten {
				took = append(took, p.lasted(name))
			}
		}
		slices.Sort(took)
		t.Logf("from CHANNEL_CREATE to the command: p50 %s, p99 %s, max %s", took[250], took[495], took[499])
		if took[495] <= 50*time.Millisecond {
			return
		}
	}
	t.Error("p99 is above 50 ms")
}

// TestAccountsLateLists: FreeSWITCH lists a call a moment late, and a registration long after it was flushed.
func TestAccountsLateLists(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.unlisted = map[string]bool{uuid(1): true}
	g := p.protect(t, "1008@pbx.example")
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
	alias := digest("1007", "pbx.example")
	alias.more = map[string]string{"variable_sip_auth_username": "alias", "variable_sip_auth_realm": "chosen.example", "variable_requested_user_name": "alias"}
	p.dial(uuid(1), alias)
	phone := esl.Registration{User: "1007", Realm: "pbx.example", CallID: "a", URL: "sofia/internal/sip:1007"}
	p.register(phone, "1007", "pbx.example")
	eventually(t, "the call heard", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.known) == 1
	})
	if err := g.ban(t, "1007@pbx.example"); err != nil {
		t.Fatal(err)
	}
	p.gone(t, uuid(1))
	// missing reads the lists as the action does from time to time.
	missing := func() int {
		g.quiet(t)
		g.mu.Lock()
		g.sweepAt = time.Now()
		g.mu.Unlock()
		drift, err := g.Resync(t.Context(), slices.Values(g.ledger.Bans()))
		if err != nil {
			t.Fatal(err)
		}
		return drift.Missing
	}
	if n := missing(); n != 0 {
		t.Errorf("a flushed registration that is still listed: missing %d", n)
	}
	p.mu.Lock()
	p.registrations = append(p.registrations, phone)
	p.mu.Unlock()
	if n := missing(); n != 1 {
		t.Errorf("a registration that was not heard: missing %d", n)
	}
}

func TestAccountsFlushesRegistrations(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t)
	at := func(user, realm, callID, ip string) esl.Registration {
		return esl.Registration{User: user, Realm: realm, CallID: callID, IP: ip, URL: "sofia/internal/sip:" + user + "@" + ip}
	}
	p.register(at("1007", "pbx.example", "a1", "203.0.113.7"), "1007", "pbx.example")
	p.register(at("1007", "other.example", "a2", "203.0.113.7"), "1007", "other.example")
	p.register(at("2000", "pbx.example", "a3", "203.0.113.8"), "2000", "pbx.example")
	if err := g.ban(t, "1007@PBX.example"); err != nil {
		t.Fatal(err)
	}
	others := []string{"1007@other.example a2", "2000@pbx.example a3"}
	if up := p.registered(); !slices.Equal(up, others) {
		t.Fatalf("after the ban: %q", up)
	}
	g.quiet(t) // each reading of the lists drops the problems found until then
	for i, r := range []esl.Registration{
		at("1007", "pbx.example", "a1", "203.0.113.7"),
		at("1007", "pbx.example", "a1", "198.51.100.9"),
		at("2000", "pbx.example", "b1", "198.51.100.9"),   // in the name of another account
		at("2000", "chosen.host", "b2@x", "198.51.100.9"), // likewise
	} {
		p.register(r, "1007", "pbx.example")
		eventually(t, fmt.Sprintf("registration %d flushed", i), func() bool { return slices.Equal(p.registered(), others) })
	}
	// Its Call-ID names the registration of another account.
	p.register(at("2000", "pbx.example", "1007@other.example", "198.51.100.9"), "1007", "pbx.example")
	p.register(at("2000", "pbx.example", "reboot", "198.51.100.9"), "1007", "pbx.example")
	eventually(t, "two flushes not sent", func() bool { return len(g.Report(t.Context()).Problems) == 2 })
	if up := p.registered(); !slices.Equal(up[:2], others) || len(up) != 4 {
		t.Errorf("another account was flushed: %q", up)
	}
}

// TestAccountsRetries has the switch refuse a list when an account is banned.
func TestAccountsRetries(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.register(esl.Registration{User: "1007", Realm: "pbx.example", CallID: "a", URL: "sofia/internal/sip:1007"}, "1007", "pbx.example")
	g := p.protect(t, "1008@pbx.example")
	g.quiet(t)
	p.mu.Lock()
	p.override["show registrations"] = "-ERR Database error!\n"
	p.mu.Unlock()
	if err := g.ban(t, "1007@pbx.example"); err == nil || !strings.Contains(err.Error(), "Database error!") {
		t.Errorf("without a list: %v", err)
	}
	p.mu.Lock()
	delete(p.override, "show registrations")
	p.mu.Unlock()
	eventually(t, "the ban settled", func() bool { return g.settled(t) == nil })
	if up := p.registered(); len(up) > 0 {
		t.Errorf("settled with %q", up)
	}
}

// TestAccountsWorksAgain ends a ban: the connections end, and so does the hanging up.
func TestAccountsWorksAgain(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t, "1007@pbx.example")
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
	thief := digest("1007", "pbx.example")
	p.dial(uuid(1), thief)
	p.gone(t, uuid(1))
	g.unban(t, "1007@pbx.example")
	for _, name := range names(50) {
		p.dial(name, thief)
	}
	p.register(esl.Registration{User: "1007", Realm: "pbx.example", CallID: "a", URL: "sofia/internal/sip:1007"}, "1007", "pbx.example")
	eventually(t, "all connections closed", func() bool { return p.Connections() == 0 })
	if up := p.calls(); len(up) != 50 || len(p.registered()) != 1 {
		t.Errorf("after the unban %d of 50 calls are up, registrations %q", len(up), p.registered())
	}
	if err := g.ban(t, "1007@pbx.example"); err != nil {
		t.Fatal(err)
	}
	if up := p.calls(); len(up) != 0 || len(p.registered()) != 0 {
		t.Errorf("after the second ban %q", up)
	}
}

// TestAccountsAfterARestart restarts the switch, and then the guard: what begins meanwhile ends.
func TestAccountsAfterARestart(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t, "1007@pbx.example")
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
	thief := digest("1007", "pbx.example")
	p.restart(t, func() {
		eventually(t, "the loss reported", func() bool { return g.runner.Status().Error != "" })
		began := time.Now()
		if err := g.ban(t, "1008@pbx.example"); err == nil || time.Since(began) > 2*connectTimeout {
			t.Errorf("without the switch: %v after %s", err, time.Since(began))
		}
	})
	p.dial(uuid(1), thief)
	p.dial(uuid(2), digest("1008", "pbx.example"))
	p.gone(t, uuid(1), uuid(2))
	eventually(t, "the bans settled", func() bool { return g.settled(t) == nil })
	if fault := g.runner.Status().Error; fault != "" {
		t.Error(fault)
	}

	g.stop()
	p.dial(uuid(3), thief)
	p.register(esl.Registration{User: "1007", Realm: "pbx.example", CallID: "a", URL: "sofia/internal/sip:1007"}, "1007", "pbx.example")
	p.protect(t, "1007@pbx.example")
	p.gone(t, uuid(3))
	eventually(t, "the registration flushed", func() bool { return len(p.registered()) == 0 })
}

func TestAccountsSparesEmergencies(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.protect(t)
	help, thief := digest("1007", "pbx.example"), digest("1007", "pbx.example")
	help.dials = "0112"
	p.dial("listed", help)
	p.dial("routed", help)
	p.mu.Lock()
	p.channels[1].Dest, p.data["routed"]["Caller-Destination-Number"] = "rescue", "rescue" // by the dialplan
	p.mu.Unlock()
	p.dial(uuid(1), thief)
	if err := g.ban(t, "1007@pbx.example"); err != nil {
		t.Fatal(err)
	}
	p.dial("heard", help)
	p.dial(uuid(2), thief)
	p.gone(t, uuid(1), uuid(2))
	p.mu.Lock()
	p.channels[0].Dest = "rescue" // by the dialplan
	p.mu.Unlock()
	if err := g.ban(t, "1008@pbx.example"); err != nil {
		t.Fatal(err)
	}
	if up := p.calls(); !slices.Equal(up, []string{"listed", "routed", "heard"}) {
		t.Errorf("up: %q", up)
	}
}

// TestAccountsHostileNames has the switch take Call-IDs as UUIDs.
func TestAccountsHostileNames(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	g := p.guard()
	g.relists = append(g.relists, 300*time.Millisecond)
	g.run(t)
	thief := digest("1007", "pbx.example")
	victim := uuid(1)
	hostile := []string{
		`a'b`, `a\'b\`, `$(reboot)`, `a;b|c&d`, `-all`, `%`, "two words", victim + " x", victim + "\nx", `it's "two" words`, "^^:a:b", "\x01\x7f", `\s\n`, strings.Repeat("x", 256),
		"cut\xc3", "é'\n\\ cut\xc3", strings.Repeat("é", 127) + "x\xc3",
	}
	for _, name := range hostile {
		p.dial(name, thief)
	}
	p.dial(victim, digest("2000", "pbx.example"))
	if err := g.ban(t, "1007@pbx.example"); err != nil {
		t.Fatal(err)
	}
	// One is listed only once those that were heard after it have ended.
	p.mu.Lock()
	p.unlisted = map[string]bool{"2cut\xc3": true}
	p.before = func(command string) {
		if strings.Contains(command, uuid(2)) {
			p.unlisted = nil
		}
	}
	p.mu.Unlock()
	for _, name := range hostile {
		p.dial("2"[:1-len(name)/256]+name, thief)
	}
	p.dial(uuid(2), thief)
	p.gone(t, uuid(2))
	eventually(t, "all calls ended but that of the victim", func() bool { return slices.Equal(p.calls(), []string{victim}) })
	for _, command := range p.sent() {
		if !strings.HasPrefix(command, "sched_hangup +0 ") || !strings.HasSuffix(command, " CALL_REJECTED") {
			t.Errorf("sent %q", command)
		}
	}
	if gaps, err := g.runner.InForce(t.Context(), false); err != nil || len(gaps) != 0 {
		t.Errorf("gaps %+v, %v", gaps, err)
	}
}

// TestManyAccounts bans ten thousand accounts, and floods the switch with calls of one of them.
func TestManyAccounts(t *testing.T) {
	var said golden.Output
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	p := newPBX(t, esltest.Options{})
	var banned []string
	for i := range 10_000 {
		banned = append(banned, fmt.Sprintf("%d@pbx.example", 1000+i))
	}
	g := p.protect(t, banned...)
	if err := g.settled(t); err != nil {
		t.Fatal(err)
	}
	const calls = 3000
	thief := digest("1007", "pbx.example")
	for _, name := range names(calls) {
		p.dial(name, thief)
	}
	p.gone(t, names(calls)...)
	if n := strings.Count(said.String(), "calls hung up"); n == 0 || n > 15 {
		t.Errorf("%d lines for %d calls", n, calls)
	}
	k, err := g.Inspect(t.Context())
	if err != nil || len(k.Entries) != len(banned) || k.Entries[0].Bypassed || len(k.Problems) > 0 {
		t.Errorf("%d entries, %v", len(k.Entries), err)
	}
}
