package esl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
)

func someCalls() []esl.Channel {
	return []esl.Channel{
		{UUID: uuid(1), IP: "203.0.113.7", PresenceID: "1000@pbx.example"},
		{UUID: uuid(2), IP: "::ffff:203.0.113.7", PresenceID: "1001@pbx.example"},
		{UUID: uuid(3), InitialIP: "203.0.113.7"},                             // not routed yet
		{UUID: uuid(4), IP: "203.0.113.70", PresenceID: "1000@pbx.example"},   // another place
		{UUID: uuid(5), IP: "203.0.113.7x", PresenceID: "1000@other.example"}, // no address
		{UUID: uuid(6), IP: "203.0.113.8", PresenceID: "1000@10.0.0.1", AccountCode: "1000"},
		{UUID: uuid(7), IP: "2001:db8::5", PresenceID: "10000@pbx.example"},
		{UUID: uuid(8), IP: "203.0.113.8", PresenceID: "9999@liar.example", AccountCode: "1000"},
		{UUID: uuid(9), IP: "192.0.2.1", PresenceID: "1@b", AccountCode: "1000"},
		{UUID: uuid(10), IP: "192.0.2.1", PresenceID: "Sales@pbx.example"},
	}
}

func kills(calls ...int) []string {
	var lines []string
	for _, n := range calls {
		lines = append(lines, "uuid_kill "+uuid(n)+" CALL_REJECTED")
	}
	return lines
}

func TestHangup(t *testing.T) {
	account := used("1000", "PBX.example", "203.0.113.8")
	failed := account
	failed.Proven = false // a wrong password, or a call on a profile without authentication
	named := change(1, ban.KindAlert, "203.0.113.7/32", account)
	named.Ban.Actions = []string{"webhook.noc", "esl.fraud"}
	nowhere := change(1, ban.KindAlert, "", account)
	nowhere.Ban.Actions = []string{"esl.fraud"}
	byAccount := []int{1, 4, 6, 8} // 6 and 8 by the address from which the account was used
	for _, test := range []struct {
		name   string
		change ban.Change
		ip     []int // what hangup = "ip" ends
		user   []int // what hangup = "user" ends
	}{
		{"ban", change(1, ban.KindBan, "203.0.113.7/32", account), []int{1, 2, 3}, byAccount},
		{"extend", change(1, ban.KindExtend, "203.0.113.0/24", account), []int{1, 2, 3, 4, 6, 8}, byAccount},
		{"IPv6", change(1, ban.KindBan, "2001:db8::/64"), []int{7}, nil},
		{"spare", change(1, ban.KindSpare, "203.0.113.7/32", account), nil, byAccount},
		{"alert that names this action", named, []int{1, 2, 3}, byAccount},
		{"alert without an address", nowhere, nil, byAccount},
		{"alert for all actions", change(1, ban.KindAlert, "203.0.113.7/32", account), nil, nil},
		{"expire", change(1, ban.KindExpire, "203.0.113.7/32", account), nil, nil},
		{"unban", change(1, ban.KindUnban, "203.0.113.7/32", account), nil, nil},
		{"refuse", change(1, ban.KindRefuse, "203.0.113.7/32", account), nil, nil},
		{"an account without a verified password", change(1, ban.KindBan, "203.0.113.7/32", failed), []int{1, 2, 3}, nil},
		{"an account without a domain", change(1, ban.KindBan, "198.51.100.0/24", used("1000", "", "")), nil, []int{1, 4, 5, 6}},
		{"an account elsewhere", change(1, ban.KindBan, "198.51.100.0/24", used("1000", "pbx.example", "198.51.100.9")), nil, []int{1, 4}},
		{"an account in another case", change(1, ban.KindBan, "198.51.100.0/24", used("sALES", "PBX.example", "198.51.100.9")), nil, []int{10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for who, want := range map[string][]int{"ip": test.ip, "user": test.user} {
				p := newPBX(t, esltest.Options{})
				p.channels = someCalls()
				a := p.act(t, fmt.Sprintf("hangup = %q", who))
				apply(t, a, test.change)
				p.expect(t, kills(want...)...)
			}
		})
	}
}

// TestLateListing starts a call that is listed only the second time.
func TestLateListing(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	looks := 0
	p.before = func(command string) {
		if command == "show channels as json" {
			if looks++; looks == 2 {
				p.channels = someCalls()[:1]
			}
		}
	}
	apply(t, p.act(t, `hangup = "ip"`), change(1, ban.KindBan, "203.0.113.7/32"))
	p.expect(t, kills(1)...)
}

// TestHangupSparesEmergencies: no leg of a call to an emergency number is ended.
func TestHangupSparesEmergencies(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	call := func(n, of int, dest, initial string) esl.Channel {
		return esl.Channel{UUID: uuid(n), CallUUID: uuid(of), IP: "203.0.113.7", Dest: dest, InitialDest: initial}
	}
	p.channels = []esl.Channel{
		call(1, 1, "0112", "0112"), call(2, 1, "rescue", "rescue"), call(3, 1, "x", "x"), // with two legs to the called party
		call(4, 4, "rescue", "112"), {UUID: uuid(5), IP: "203.0.113.7", Dest: "112"}, // in the dialplan, and not answered yet
		call(6, 6, "112345", "112345"), call(7, 6, "4911", "4911"),
	}
	a := p.act(t, `hangup = "ip"`)
	a.config.emergency = isHelp
	apply(t, a, change(1, ban.KindBan, "203.0.113.7/32"))
	p.expect(t, kills(6, 7)...)
}

func isHelp(dialled string) bool { return dialled == "112" || dialled == "0112" }

func TestEndedCall(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.override["uuid_kill"] = "-ERR No such channel!\n"
	p.channels = someCalls()[:1]
	a := p.act(t, `hangup = "ip"`)
	var said strings.Builder
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	apply(t, a, change(1, ban.KindBan, "203.0.113.7/32"))
	if found := a.Report(t.Context()); len(found.Problems) > 0 || said.Len() > 0 {
		t.Errorf("%+v\n%s", found, &said)
	}
}

func TestManyChannels(t *testing.T) {
	p := newPBX(t, esltest.Options{Shred: 7})
	for n := range 5000 {
		c := esl.Channel{UUID: uuid(n), IP: "192.0.2.1", PresenceID: fmt.Sprintf("%d@pbx.example", n)}
		if n%100 == 0 {
			c.IP = "203.0.113.7"
		}
		p.channels = append(p.channels, c)
	}
	apply(t, p.act(t, `hangup = "ip"`), change(1, ban.KindBan, "203.0.113.7/32"))
	if n := len(p.sent()); n != 50 || len(p.channels) != 4950 {
		t.Errorf("%d commands, %d channels left", n, len(p.channels))
	}
}

// phone is a registration at the profile internal.
func phone(user, callID, ip string) esl.Registration {
	return esl.Registration{User: user, Realm: "pbx.example", CallID: callID, URL: "sofia/internal/sip:x@203.0.113.7", IP: ip}
}

func TestFlush(t *testing.T) {
	const flush = "sofia profile internal flush_inbound_reg "
	banned := change(1, ban.KindBan, "203.0.113.7/32")
	named := change(1, ban.KindBan, "203.0.113.7/32", used("1000", "pbx.example", ""))
	attacker := func(callID string) []esl.Registration {
		return []esl.Registration{phone("6666", callID, "203.0.113.7"), phone("1000", "bb2", "192.0.2.1")}
	}
	odd := []esl.Registration{{User: "1000", Realm: "pbx.example", URL: "verto.rtc/x"}}
	for _, test := range []struct {
		name, body string
		phones     []esl.Registration
		change     ban.Change
		want       string
		left       int
	}{
		{"one phone of two", `flush_registration = "ip"`, attacker("aa1"), banned, flush + "aa1", 1},
		{"all phones of an account", `flush_registration = "user"`,
			[]esl.Registration{phone("1000", "aa1", "203.0.113.7"), phone("1000", "bb2", "192.0.2.1"), phone("1001", "cc3", "192.0.2.1")},
			change(1, ban.KindSpare, "192.0.2.0/24", used("1000", "pbx.example", "192.0.2.1")), flush + "1000@pbx.example", 1},
		{"a Call-ID that is another account", `flush_registration = "ip"`, attacker("1000@pbx.example"), banned, flush + "6666@pbx.example", 1},
		{"a Call-ID that is the host of all", `flush_registration = "ip"`, attacker("pbx.example"), banned, flush + "6666@pbx.example", 1},
		{"a Call-ID of another phone", `flush_registration = "ip"`, attacker("bb2"), banned, flush + "6666@pbx.example", 1},
		{"a Call-ID that is a word of the command", `flush_registration = "ip"`, attacker("Reboot"), banned, flush + "6666@pbx.example", 1},
		{"an invalid user", `flush_registration = "ip"`,
			[]esl.Registration{phone("", "x", "203.0.113.7"), phone("reboot x", "y", "203.0.113.7"), phone("1000", "bb2", "192.0.2.1")}, banned, "", 3},
		{"a configured profile", `flush_registration = "user"` + "\n" + `profile = "internal"`, odd, named, flush + "1000@pbx.example", 0},
		{"no profile", `flush_registration = "user"`, odd, named, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPBX(t, esltest.Options{})
			p.registrations = test.phones
			apply(t, p.act(t, test.body), test.change)
			p.expect(t, strings.FieldsFunc(test.want, func(r rune) bool { return r == '\n' })...)
			if len(p.registrations) != test.left {
				t.Errorf("left: %+v", p.registrations)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	many := change(1, ban.KindBan, "203.0.113.7/32")
	for n := range 30 {
		many.Ban.Evidence = append(many.Ban.Evidence, used(fmt.Sprint(n), "d", "203.0.113.7"))
	}
	var newest []string
	for n := range 20 {
		newest = append(newest, fmt.Sprintf("hash insert/u/%d@d", 29-n))
	}
	by := func(rule string, c ban.Change) ban.Change {
		c.Ban.Rule = rule
		return c
	}
	account := used("1000", "pbx.example", "2001:db8::5")
	for _, test := range []struct {
		command string
		change  ban.Change
		want    []string
	}{
		{"hash insert/blocked/<ip>/1", change(1, ban.KindBan, "203.0.113.7/32"), []string{"hash insert/blocked/203.0.113.7/1"}},
		{"hash insert/b/<ip>/<network>", change(1, ban.KindBan, "2001:db8::/64", account), []string{"hash insert/b/2001:db8::5/2001:db8::/64"}},
		{"hash insert/b/<ip>", change(1, ban.KindBan, "198.51.100.0/24", account), nil},
		{"hash insert/b/<ip>", change(1, ban.KindSpare, "2001:db8::5/128", account), nil},
		{"hash insert/b/<user>/<ip>", change(1, ban.KindSpare, "2001:db8::5/128", account), nil},
		{"hash insert/b/<user>", change(1, ban.KindSpare, "2001:db8::5/128", account), []string{"hash insert/b/1000"}},
		{"hash same", change(1, ban.KindSpare, "2001:db8::5/128", account), nil},
		{"hash same", change(1, ban.KindBan, "203.0.113.7/32"), []string{"hash same"}},
		{"hash insert/<rule>", change(1, ban.KindBan, "203.0.113.7/32"), []string{"hash insert/toll_fraud"}},
		{"hash insert/<rule>", by("", change(1, ban.KindBan, "203.0.113.7/32")), []string{"hash insert/none"}},
		{"hash insert/<rule>", by("-тест x\n", change(1, ban.KindBan, "203.0.113.7/32")), []string{"hash insert/_____x_"}},
		{"hash insert/u/<user>@<domain>", many, newest},
		{"hash insert/u/<user>@<domain>", change(1, ban.KindBan, "203.0.113.7/32", used("sales", "pbx.example", ""), used("Sales", "PBX.example", "")),
			[]string{"hash insert/u/Sales@PBX.example", "hash insert/u/sales@pbx.example"}},
		{"hash <", change(1, ban.KindBan, "203.0.113.7/32"), []string{"hash <"}},
	} {
		p := newPBX(t, esltest.Options{})
		a := p.act(t, fmt.Sprintf("command = %q", test.command))
		apply(t, a, test.change)
		p.expect(t, test.want...)
	}
}

// attacks are values that a caller may let the switch report.
var attacks = []string{
	"x\n\napi fsctl shutdown", "x\r\n\r\nexit\r\n\r\n", "x y", "$(reboot)", "`reboot`", "'", `"`, `\n`, "${system(x)}", "a/b", "a|b",
	"a;b", "a,b", "^^:a:b", "-bleg", "\x00", "\x1b[31m", "\u0085", "\u2028", "é", "\xff", "%0a", "@", "a@b@c", "", strings.Repeat("a", 64<<10),
	"-ERR",
}

func TestAttackValues(t *testing.T) {
	for _, value := range attacks {
		for _, e := range []ban.Evidence{used(value, "pbx.example", "203.0.113.7"), used("1000", value, "203.0.113.7")} {
			p := newPBX(t, esltest.Options{})
			p.channels = []esl.Channel{{UUID: value, IP: "203.0.113.7", PresenceID: value}}
			p.registrations = []esl.Registration{
				{User: e.User, Realm: e.Domain, CallID: value, URL: "sofia/internal/x", IP: "203.0.113.7"},
			}
			for _, body := range []string{`hangup = "user"`, `hangup = "ip"`, `flush_registration = "user"`, `flush_registration = "ip"`, `command = "hash insert/<user>/<domain>"`} {
				a := p.act(t, body)
				if err := a.Apply(t.Context(), batch(change(1, ban.KindBan, "203.0.113.7/32", e))); err != nil {
					t.Errorf("%.40q: %s: %v", value, body, err)
				}
				if warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning); strings.ContainsAny(strings.Join(warnings, ""), "\n\x1b\x00") {
					t.Errorf("%.40q: a report with control characters", value)
				}
			}
			for _, line := range p.sent() {
				if value != "" && value != "@" && strings.Contains(line, value) {
					t.Errorf("%.40q was sent: %.100q", value, line)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.override["hash"] = "-ERR permission denied\n"
	p.channels = someCalls()[:1]
	a := p.act(t, `
		hangup  = "ip"
		command = "hash insert/<ip>"`)
	b := batch(change(1, ban.KindBan, "203.0.113.7/32"), change(2, ban.KindBan, "203.0.113.8/32"))
	err := a.Apply(t.Context(), b)
	var refusal *esl.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "hash insert/203.0.113.7: refused: -ERR permission denied") || !strings.Contains(err.Error(), "203.0.113.8") {
		t.Error(err)
	}
	sent := append(kills(1), "hash insert/203.0.113.7", "hash insert/203.0.113.8")
	p.expect(t, sent...)
	if warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning); len(warnings) != 1 || !strings.Contains(warnings[0], "permission denied") || strings.Contains(warnings[0], "\n") {
		t.Errorf("%q", warnings)
	}
	// The retry does not send it again: it was answered.
	if err := a.Apply(t.Context(), b); err != nil {
		t.Error(err)
	}
	p.expect(t, sent...)
}

func TestManyRefusals(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.override["uuid_kill"] = "-ERR permission denied\n"
	for n := range 100 {
		p.channels = append(p.channels, esl.Channel{UUID: uuid(n), IP: "203.0.113.7"})
	}
	err := p.act(t, `hangup = "ip"`).Apply(t.Context(), batch(change(1, ban.KindBan, "203.0.113.7/32")))
	if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "and 95 more were refused") {
		t.Error(err)
	}
}

// TestOddProfile lists a registration with a profile that a command cannot contain.
func TestOddProfile(t *testing.T) {
	for _, profile := range []string{"", "a b", "-x", "x\n", strings.Repeat("a", maxValue+1)} {
		p := newPBX(t, esltest.Options{})
		p.registrations = []esl.Registration{{User: "1", Realm: "r", URL: "sofia/" + profile + "/x", IP: "203.0.113.7"}}
		a := p.act(t, `flush_registration = "ip"`)
		apply(t, a, change(1, ban.KindBan, "203.0.113.7/32"))
		p.expect(t)
		if got := status.Texts(a.Report(t.Context()).Problems, status.Warning); len(got) != 1 || !strings.HasPrefix(got[0], "commands not sent because of a value in them: 1, the last: ") {
			t.Errorf("%q: %q", profile, got)
		}
	}
}

// TestUnknownProfile has an answer that is a refusal without -ERR.
func TestUnknownProfile(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.registrations = []esl.Registration{{User: "1", Realm: "r", URL: "sofia/external/x", IP: "203.0.113.7"}}
	err := p.act(t, `flush_registration = "ip"`).Apply(t.Context(), batch(change(1, ban.KindBan, "203.0.113.7/32")))
	if err == nil || !strings.Contains(err.Error(), "Invalid Profile [external]") {
		t.Error(err)
	}
}

func TestBadListing(t *testing.T) {
	for _, answer := range []string{"-ERR no database\n", "nonsense", `{"rows":3}`, "[", `{"rows":[{"uuid":3}]}`} {
		p := newPBX(t, esltest.Options{})
		p.override["show"] = answer
		for _, body := range []string{`hangup = "ip"`, `flush_registration = "ip"`} {
			if err := p.act(t, body).Apply(t.Context(), batch(change(1, ban.KindBan, "203.0.113.7/32"))); answer != `{"rows":[{"uuid":3}]}` && err == nil {
				t.Errorf("%q was accepted as a list", answer)
			}
		}
		p.expect(t)
	}
}

func TestUnreachable(t *testing.T) {
	for _, test := range []struct {
		name    string
		options esltest.Options
		kind    error
	}{
		{"password", esltest.Options{Password: "another"}, esl.ErrAuthRefused},
		{"access list", esltest.Options{RefuseACL: true}, esl.ErrACLRefused},
	} {
		p := newPBX(t, test.options)
		a := p.act(t, `hangup = "ip"`)
		err := a.Apply(t.Context(), batch(change(1, ban.KindBan, "203.0.113.7/32")))
		if !errors.Is(err, test.kind) || strings.Contains(err.Error(), "ClueCon") {
			t.Errorf("%s: %v", test.name, err)
		}
		if warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning); len(warnings) != 1 || strings.Contains(warnings[0], "ClueCon") {
			t.Errorf("%s: %q", test.name, warnings)
		}
		// A change without a task needs no switch.
		apply(t, a, change(2, ban.KindExpire, "203.0.113.7/32"))
	}
}

// TestDyingSwitch breaks the connection between the commands: those without an answer
// are sent again.
func TestDyingSwitch(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.channels = someCalls()[:1]
	dying := true
	p.before = func(command string) {
		if dying && command == "hash insert/203.0.113.8" {
			dying = false
			p.Drop()
		}
	}
	a := p.act(t, `
		hangup  = "ip"
		command = "hash insert/<ip>"`)
	b := batch(change(1, ban.KindBan, "203.0.113.7/32"), change(2, ban.KindBan, "203.0.113.8/32"), change(3, ban.KindBan, "203.0.113.9/32"))
	if err := a.Apply(t.Context(), b); !errors.Is(err, esl.ErrClosed) {
		t.Error(err)
	}
	b.Now = b.Now.Add(time.Second)
	if err := a.Apply(t.Context(), b); err != nil {
		t.Error(err)
	}
	// The third may have been sent on a second connection, before the second was sent again.
	sent, want := p.sent(), append(kills(1), "hash insert/203.0.113.7", "hash insert/203.0.113.8", "hash insert/203.0.113.8", "hash insert/203.0.113.9")
	slices.Sort(sent)
	slices.Sort(want)
	if !slices.Equal(sent, want) {
		t.Errorf("sent:\n%q\nwant:\n%q", sent, want)
	}
	if len(a.tries) != 0 {
		t.Errorf("left: %v", a.tries)
	}
}

// TestSilentSwitch waits until ctx ends for an answer that never comes.
func TestSilentSwitch(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.before = func(string) { p.Freeze() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.act(t, `hangup = "ip"`).Apply(ctx, batch(change(1, ban.KindBan, "203.0.113.7/32")))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestGivenUp(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.channels = someCalls()[:1]
	a := p.act(t, `hangup = "ip"`)
	p.Close()
	b := batch(change(1, ban.KindBan, "203.0.113.7/32"))
	for range 2 {
		if err := a.Apply(t.Context(), b); !errors.Is(err, esl.ErrUnreachable) {
			t.Error(err)
		}
		b.Now = b.Now.Add(giveUpAfter)
	}
	second := change(2, ban.KindBan, "203.0.113.8/32")
	b.Changes = append(b.Changes, &second)
	b.Now = b.Now.Add(time.Second)
	for range 2 { // the second is new, the first is counted once
		if err := a.Apply(t.Context(), b); !errors.Is(err, esl.ErrUnreachable) {
			t.Error(err)
		}
		if a.givenUp != 1 {
			t.Errorf("%d given up", a.givenUp)
		}
	}
	b.Now = b.Now.Add(giveUpAfter + time.Second)
	if err := a.Apply(t.Context(), b); err != nil || a.givenUp != 2 {
		t.Error(err, a.givenUp)
	}
}

// TestMaxWaiting gives up at once where very many changes wait for a dead switch.
func TestMaxWaiting(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	a := p.act(t, `hangup = "ip"`)
	p.Close()
	var changes []ban.Change
	for seq := range uint64(maxWaiting + 1) {
		changes = append(changes, change(seq+1, ban.KindBan, "203.0.113.7/32"))
	}
	if err := a.Apply(t.Context(), batch(changes[:maxWaiting]...)); err == nil {
		t.Error("no error")
	}
	if err := a.Apply(t.Context(), batch(changes...)); err != nil || a.givenUp != maxWaiting+1 || len(a.tries) != 0 {
		t.Error(err, a.givenUp, len(a.tries))
	}
}

// TestHeldChangesShareATask has a stolen account call a thousand times: one command is
// sent for all of them, and each call ends whatever address it came from.
func TestHeldChangesShareATask(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	p.channels = []esl.Channel{{UUID: uuid(1), IP: "203.0.113.8", AccountCode: "1000"}, {UUID: uuid(2), IP: "203.0.113.9", AccountCode: "1000"}}
	a := p.act(t, `hangup = "user"
command = "hash insert/blocked/<user>/1"`)
	var changes []ban.Change
	for seq := range uint64(1000) {
		c := change(seq+1, ban.KindAlert, "", used("1000", "pbx.example", fmt.Sprint("203.0.113.", 8+seq%2)))
		c.Ban.Actions, c.Held = []string{"esl.fraud"}, seq > 0
		changes = append(changes, c)
	}
	if tasks, last := a.tasks(batch(changes...)); len(tasks) != 1 || last != 1000 {
		t.Errorf("%d tasks, the last %d", len(tasks), last)
	}
	apply(t, a, changes...)
	p.expect(t, append(kills(1, 2), "hash insert/blocked/1000/1")...)
	if len(a.tries) != 0 {
		t.Errorf("%d tries are kept", len(a.tries))
	}
}

func TestFingerprint(t *testing.T) {
	of := func(s esl.Switch, body string) settings.Fingerprint {
		b, _ := readBlock(t, "rules.hcl", "source = source.esl.pbx\n"+body, s)
		return b.Fingerprint()
	}
	s := esl.Switch{Address: "127.0.0.1:8021", Password: "a"}
	other := s
	other.Password = "b"
	same := of(s, `hangup = "ip"`)
	if same != of(s, `hangup = "ip"`) {
		t.Error("the same block has another fingerprint")
	}
	if same == of(other, `hangup = "ip"`) || same == of(s, `hangup = "user"`) {
		t.Error("another block has the same fingerprint")
	}
}

func TestReportIsQuiet(t *testing.T) {
	p := newPBX(t, esltest.Options{})
	a := p.act(t, `hangup = "ip"`)
	apply(t, a, change(1, ban.KindBan, "203.0.113.7/32"))
	if found := a.Report(t.Context()); len(found.Problems) > 0 {
		t.Errorf("%+v", found)
	}
}
