package engine

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// stolen is a rule that bans an account at its second call in an hour.
func stolen(t *testing.T) *rule.Spec {
	t.Helper()
	match, problems := rule.Compile("event == 'call'", rule.Vocabulary{Events: event.Names})
	key, err := rule.ParseKey([]string{"user@domain"})
	if len(problems) > 0 || err != nil {
		t.Fatal(problems, err)
	}
	return &rule.Spec{
		Name: "stolen", On: []string{"log.x"}, Match: match, Threshold: &rule.Threshold{Count: 2, Within: time.Hour, Per: key},
		Ban: &rule.Ban{Terms: []ban.Term{mustTerm(t, "10m"), mustTerm(t, "1d")}, Forget: 30 * 24 * time.Hour, Account: true},
	}
}

// holdsAccounts is an action that enforces bans of accounts.
var holdsAccounts = config.Action{Ref: "accounts.pbx", Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}}

// tellOfAccounts is tellStory with an action that enforces bans of accounts.
func tellOfAccounts(t *testing.T, rules ...*rule.Spec) *story {
	t.Helper()
	s := tellStory(t, rules...)
	cfg := *s.cfg
	cfg.Actions = append(cfg.Actions, holdsAccounts)
	s.Reload(&cfg)
	return s
}

// calls passes a call, a minute after what was before.
func (s *story) calls(account, ip string, verified bool) {
	s.t.Helper()
	user, domain, _ := strings.Cut(account, "@")
	s.now = s.now.Add(time.Minute)
	s.observe(&event.Event{
		Time: s.now, Name: event.Call, Source: "log.x", User: user, Domain: domain, IP: netip.MustParseAddr(ip),
		Fields: map[string]string{"variable_sip_authorized": fmt.Sprint(verified)},
	}, s.now)
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

const noPassword = "no account is banned: the switch has not verified its password, and any caller may name an account; "

// TestAccountBans has an account call, from an address and with a rule.
func TestAccountBans(t *testing.T) {
	const second = "2 in 1h, per user@domain 1007@pbx"
	for name, test := range map[string]struct {
		change func(*rule.Spec)
		tell   func(*story)
		want   []string
	}{
		"its second call": {nil, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@PBX", "203.0.113.8", true)
		}, []string{"ban 1007@pbx: 2 in 1h, per user@domain 1007@PBX"}},
		"calls under a standing ban, and a second offence": {nil, func(s *story) {
			for range 13 {
				s.calls("1007@pbx", "203.0.113.7", true)
			}
		}, slices.Concat([]string{"ban 1007@pbx: " + second}, slices.Repeat([]string{"refuse 1007@pbx: already banned until 2026-05-04 10:12:00 UTC"}, 4),
			[]string{"expire 1007@pbx: " + second, "ban 1007@pbx: " + second})},
		"the last call named it": {nil, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "198.51.100.1", false)
		}, []string{"alert 198.51.100.1: " + noPassword + second}},
		"no domain": {func(r *rule.Spec) { r.Threshold = nil }, func(s *story) { s.calls("1007", "203.0.113.7", true) },
			[]string{`alert 203.0.113.7: no account is banned: "1007@" is no account: write user@domain, without blanks; call from 203.0.113.7`}},
		"a user with blanks": {func(r *rule.Spec) { r.Threshold = nil }, func(s *story) { s.calls("10 07@pbx", "203.0.113.7", true) },
			[]string{`alert 203.0.113.7: no account is banned: "10 07@pbx" is no account: write user@domain, without blanks; call from 203.0.113.7`}},
		"alert beside it": {func(r *rule.Spec) { r.Alert = &rule.Alert{} }, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"alert 203.0.113.7: " + second, "ban 1007@pbx: " + second}},
		"not enabled": {func(r *rule.Spec) { r.Ban.Off = true }, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"alert 203.0.113.7: " + second}},
		"and the address": {func(r *rule.Spec) { r.Ban.Network = rule.Host }, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"ban 1007@pbx: " + second, "ban 203.0.113.7: " + second}},
		"and the address, which the last call named it from": {func(r *rule.Spec) { r.Ban.Network = rule.Host }, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", false)
		}, []string{"alert 203.0.113.7: " + noPassword + second, "ban 203.0.113.7: " + second}},
		"each further account from an address": {func(r *rule.Spec) { r.Threshold.Per = rule.Key{{Field: "ip", Network: rule.Host}} }, func(s *story) {
			for _, account := range []string{"1007@pbx", "1008@pbx", "1009@pbx"} {
				s.calls(account, "203.0.113.7", true)
			}
		}, []string{"ban 1008@pbx: 2 in 1h, per ip 203.0.113.7", "ban 1009@pbx: 3 in 1h, per ip 203.0.113.7"}},
		"all accounts from an address": {func(r *rule.Spec) {
			r.Ban.All, r.Threshold.Count, r.Threshold.Per = true, 4, rule.Key{{Field: "ip", Network: rule.Host}}
		}, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1009@pbx", "203.0.113.7", false)
			s.calls("1008@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"ban 1007@pbx: 4 in 1h, per ip 203.0.113.7", "ban 1008@pbx: 4 in 1h, per ip 203.0.113.7"}},
		"a brake does not hold it": {func(r *rule.Spec) { r.Brake = &rule.Brake{Bans: 1, Within: time.Hour} }, func(s *story) {
			for _, user := range []string{"1007", "1007", "1008", "1008"} {
				s.calls(user+"@pbx", "203.0.113.7", true)
			}
		}, []string{"ban 1007@pbx: " + second, "ban 1008@pbx: 2 in 1h, per user@domain 1008@pbx"}},
		"a trusted account": {nil, func(s *story) {
			cfg := *s.cfg
			cfg.Trusted = []ban.Trusted{{Target: ban.Account("1007", ban.AnyDomain), Name: "dialers", Where: "a.hcl:1"}}
			s.Reload(&cfg)
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"refuse 1007@pbx: trusted: dialers (a.hcl:1)"}},
		"trusted by a reload": {nil, func(s *story) {
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
			cfg := *s.cfg
			cfg.Trusted = []ban.Trusted{{Target: ban.Account("1007", "pbx"), Name: "dialers", Where: "a.hcl:1"}}
			s.Reload(&cfg)
			if err := s.settle(); err != nil {
				s.t.Fatal(err)
			}
		}, []string{"ban 1007@pbx: " + second, "unban 1007@pbx: trusted: dialers (a.hcl:1)"}},
		"no action enforces it": {nil, func(s *story) {
			cfg := *s.cfg
			cfg.Actions = nil
			s.Reload(&cfg)
			s.calls("1007@pbx", "203.0.113.7", true)
			s.calls("1007@pbx", "203.0.113.7", true)
		}, []string{"refuse 1007@pbx: no action of the rule files can ban a target of the kind account"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := stolen(t)
			if test.change != nil {
				test.change(spec)
			}
			s := tellOfAccounts(t, spec)
			s.t = t
			test.tell(s)
			s.want(test.want...)
			if s.aside != 0 {
				t.Errorf("%d events set aside", s.aside)
			}
		})
	}
}

// TestEvidenceOfAccountBans: of one account it is what the rule counted; of all accounts in a window
// that of each, for actions act on the accounts in it.
func TestEvidenceOfAccountBans(t *testing.T) {
	for all, want := range map[bool]string{false: "1008 1007", true: "1008; 1007"} {
		spec := stolen(t)
		spec.Ban.All, spec.Threshold.Per = all, rule.Key{{Field: "ip", Network: rule.Host}}
		s := tellOfAccounts(t, spec)
		s.calls("1008@pbx", "203.0.113.7", true)
		s.calls("1007@pbx", "203.0.113.7", true)
		var got []string
		for _, c := range s.got {
			var users []string
			for _, e := range c.Evidence {
				users = append(users, e.User)
			}
			got = append(got, strings.Join(users, " "))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("all %t: %q, want %s", all, got, want)
		}
	}
}

// TestBannedAccountProtectsNothing: neither the registration of a banned account nor a later one
// protects its address, until the ban ends.
func TestBannedAccountProtectsNothing(t *testing.T) {
	const office, thief = "203.0.113.7", "203.0.113.8"
	spec := stolen(t)
	s := tellOfAccounts(t, banning(t), spec)
	s.hears(event.Registered, "1007", office)
	s.calls("1007@pbx", office, true)
	s.calls("1007@pbx", office, true)
	s.hears(event.Registered, "1007", thief)
	s.fails(3, "1000", thief)
	cfg := *s.cfg
	cfg.Security.Protect.Registered = false
	s.Reload(&cfg) // the table is new after the next reload
	cfg.Security.Protect.Registered = true
	s.Reload(&cfg)
	s.hears(event.Registered, "1007", office)
	s.fails(3, "1000", office)
	s.now = s.now.Add(10 * time.Minute)
	s.fails(3, "1000", office)
	s.want(
		"ban 1007@pbx: 2 in 1h, per user@domain 1007@pbx",
		"ban 203.0.113.8: 3 in 1m, per ip 203.0.113.8",
		"ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7",
		"expire 203.0.113.8: 3 in 1m, per ip 203.0.113.8",
		"expire 203.0.113.7: 3 in 1m, per ip 203.0.113.7",
		"expire 1007@pbx: 2 in 1h, per user@domain 1007@pbx",
		"spare 203.0.113.7: protected: registered (1007@pbx); failed: 1000@pbx; 3 in 1m, per ip 203.0.113.7",
	)
}

// TestRestoredAccountBan: the ban holds after a restart, and the account's registrations protect nothing.
func TestRestoredAccountBan(t *testing.T) {
	store, err := ban.OpenFile(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	first := tellOfAccounts(t, stolen(t))
	if err := first.Restore(store, first.now); err != nil {
		t.Fatal(err)
	}
	first.calls("1007@pbx", "203.0.113.7", true)
	first.calls("1007@pbx", "203.0.113.7", true)
	s := tellOfAccounts(t, banning(t))
	s.now = first.now
	if err := s.Restore(store, s.now); err != nil {
		t.Fatal(err)
	}
	b, banned := s.ledger.Covering(ban.Account("1007", "pbx"))
	if !banned || b.Rule != "stolen" || b.Offence != 1 || len(s.ledger.Evidence(&b)) != 2 {
		t.Fatalf("restored %t: %+v", banned, b)
	}
	s.hears(event.Registered, "1007", "203.0.113.7")
	s.fails(3, "1000", "203.0.113.7")
	s.want("ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7")
}
