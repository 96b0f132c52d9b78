package logfile

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// TestCatalogue reads lines with unusual values, and lines that are no event. TestVersions has a
// line for every row of the catalogue.
func TestCatalogue(t *testing.T) {
	head := func(level, file string) string {
		return fmt.Sprintf("2026-05-04 10:11:12.131415 97.10%% [%s] %s:100 ", level, file)
	}
	warning, info := head("WARNING", "sofia_reg.c"), head("INFO", "sofia.c")
	reject := head("WARNING", "sofia.c")
	socket := head("WARNING", "mod_event_socket.c")
	verto := head("DEBUG", "mod_verto.c")
	for _, test := range []struct{ line, want string }{ // want is "" where there is no event
		{warning + "SIP auth failure (REGISTER) on sofia profile 'internal-ipv6' for [1000@[fd77::10]] from ip 2001:db8::5", `auth_failure 2001:db8::5 user="1000" domain="[fd77::10]" profile="internal-ipv6" method="REGISTER"`},
		{warning + "SIP auth failure (INVITE) on sofia profile '5060' for [101] from ip 198.51.100.3", `auth_failure 198.51.100.3 profile="5060" method="INVITE" destination="101"`},
		{warning + "SIP auth failure (REGISTER) on sofia profile '5060' for [] from ip 198.51.100.3", `auth_failure 198.51.100.3 profile="5060" method="REGISTER"`},
		{warning + "SIP auth failure (REGISTER) on sofia profile 'x' for [a' for [b@c] from ip 198.51.100.3", `auth_failure 198.51.100.3 user="a' for [b" domain="c" profile="x" method="REGISTER"`},
		{warning + "SIP auth failure (MESSAGE) on sofia profile 'x' for [b@c] from ip 198.51.100.3", ""},
		{warning + "Can't find user [4711@10.77.0.10] from 203.0.113.5", `unknown_user 203.0.113.5 user="4711" domain="10.77.0.10"`},
		{warning + "IP 203.0.113.6 Rejected by register acl", "acl_reject 203.0.113.6"},
		{head("DEBUG", "sofia.c") + `IP 192.0.2.179 Rejected by acl "domains". Falling back to Digest auth.`, ""},
		{reject + `IP 192.0.2.179 Rejected by acl "domains". Falling back to Digest auth.`, ""},
		{socket + `IP 2001:db8::5 Rejected by acl "esl_clients"`, `esl_denied 2001:db8::5 [acl]="esl_clients"`},
		{warning + `SIP auth failure (REGISTER) due to user-agent-filter.  Filter "^Yealink" User-Agent "Bad" from ip 192.0.2.1"`, `user_agent_rejected method="REGISTER" user_agent="Bad\" from ip 192.0.2.1" [filter]="^Yealink"`},
		{head("DEBUG", "sofia_reg.c") + `SIP auth OK (REGISTER) due to user-agent-filter.  Filter "^Yealink" User-Agent "Yealink SIP-T33U"`, ""},
		{info + "sofia/internal-ipv6/1000@[fd77::10] receiving invite from 2001:db8:6c61:db40::d4a1:c138:60205 version: 1.11.3-dev  64bit call-id: ee31", `call 2001:db8:6c61:db40::d4a1:c138 port=60205 user="1000" domain="[fd77::10]" profile="internal-ipv6" call_id="ee31" [version]="1.11.3-dev  64bit"`},
		{warning + "SIP auth challenge (REGISTER) on sofia profile '5060' for [101] from ip 198.51.100.3", `challenge 198.51.100.3 user="101" profile="5060" method="REGISTER"`},
		{warning + "SIP auth challenge (INVITE) on sofia profile '5060' for [101] from ip 198.51.100.3", `challenge 198.51.100.3 profile="5060" method="INVITE" destination="101"`},
		{reject + "IP 203.0.113.6 Rejected by acl", "acl_reject 203.0.113.6"},
		{verto + "198.51.100.129:36393 Client Connect from 198.51.100.129:36393 accepted", ""},
		{info + "sofia/internal/1060@pbx receiving invite from 198.51.100.66:50321 version: 1.8.7", ""},
		{head("DEBUG", "sofia.c") + "sofia/internal/1060@pbx receiving invite from 198.51.100.66:50321 version: 1.10.12 call-id: a 2.2.2.2", `call 198.51.100.66 port=50321 user="1060" domain="pbx" profile="internal" [version]="1.10.12 call-id: a 2.2.2.2"`},
		{head("DEBUG", "sofia.c") + `verifying acl "domains" for ip/port 203.0.113.83:0.`, ""},
		{head("NOTICE", "mod_logfile.c") + "New log started: /var/log/freeswitch/freeswitch.log", ""},
	} {
		got := builtinSource().collect(strings.NewReader(test.line+"\n"), time.Time{}, nil, defaultSizes())
		description := ""
		if len(got.events) > 0 {
			_, description, _ = strings.Cut(describe(&got.events[0]), " ")
		}
		if description != test.want || got.stats.Doubted != 0 {
			t.Errorf("%s\n got %s, %d doubted\nwant %s", test.line, description, got.stats.Doubted, test.want)
		}
	}
}

// TestAttackerText puts misleading texts into all that an attacker can write, and
// checks that every event has the address that FreeSWITCH wrote.
func TestAttackerText(t *testing.T) {
	const seed = 5
	const real, victim = "203.0.113.5", "198.51.100.7"
	random := rand.New(rand.NewPCG(seed, 0))
	texts := []string{
		"[WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile '%s' for [%s@%s] from ip " + real,
		"[WARNING] sofia_reg.c:1787 SIP auth failure (INVITE) on sofia profile 'internal' for [%s] from ip " + real,
		"[WARNING] sofia_reg.c:1842 SIP auth challenge (INVITE) on sofia profile 'internal' for [%s@%s] from ip " + real,
		"[WARNING] sofia_reg.c:3210 Can't find user [%s@%s] from " + real,
		`[WARNING] sofia_reg.c:3359 SIP auth failure (REGISTER) due to user-agent-filter.  Filter "^x" User-Agent "%s"`,
		"[INFO] sofia.c:10472 sofia/external/%s@%s receiving invite from " + real + ":5060 version: 1.11.3-dev  64bit call-id: %s",
		"[INFO] sofia.c:10472 sofia/external/%s receiving invite from " + real + ":5060 version: 1.11.3-dev  64bit call-id: %s",
		"[DEBUG] sofia.c:8613 sofia/external/%s@%s receiving invite from " + real + ":5060 version: 1.5.14 git cc44659 64bit",
		"[WARNING] sofia_reg.c:3328 Empty password denied for user %s@%s",
		"[WARNING] mod_verto.c:1310 User %s blocked from taking over session %s owned by %s",
		"[WARNING] switch_core_state_machine.c:684 x sofia/internal/%s Abandoned",
		"[WARNING] mod_verto.c:1100 Login incorrect for user: %s domain: %s",
	}
	words := []string{"a", "@", "]", "[", "'", `"`, " ", ":", "\r", victim, victim, victim + ":5060", "IP " + victim, "sofia/x/y@z", "'internal' for ["}
	holes := regexp.MustCompile(`<[^>]*>`)
	for _, p := range catalogue() {
		words = append(words, holes.Split(p.Text, -1)...)
		words = append(words, strings.NewReplacer("<ip>", victim, "<port>", "1", "<", "", ">", "").Replace(p.Text))
	}
	source, found := builtinSource(), 0
	for range 20_000 {
		line := "2026-05-04 10:11:12.131415 97.10% " + texts[random.IntN(len(texts))]
		for strings.Contains(line, "%s") {
			text := ""
			for range random.IntN(5) {
				text += words[random.IntN(len(words))]
			}
			line = strings.Replace(line, "%s", text, 1)
		}
		got := source.naive([]byte(line), time.Time{}, nil, 64<<10)
		for _, e := range got.events {
			found++
			if e.IP.IsValid() && e.IP.String() != real {
				t.Fatalf("seed %d: %q\nmakes evidence against %s", seed, line, describe(&e))
			}
		}
	}
	if found < 5000 {
		t.Errorf("seed %d: only %d events", seed, found)
	}
}

// TestCatalogueRows checks that every row has an event, a level and a file.
func TestCatalogueRows(t *testing.T) {
	for _, b := range builtin {
		if !pattern.IsName(b.event) {
			t.Errorf("%q is not the name of an event", b.event)
		}
		if !slices.Contains(record.LevelNames, b.level) || b.file == "" {
			t.Errorf("%q: level %q, file %q", b.line, b.level, b.file)
		}
	}
}
