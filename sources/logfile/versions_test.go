package logfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// versions are those of FreeSWITCH from which on some text changes, and the newest ones.
var versions = []string{"1.4.1", "1.4.4", "1.6.0", "1.6.11", "1.8.0", "1.8.6", "1.10.0", "1.10.1", "1.10.2", "1.10.5", "1.10.6", "1.10.7", "1.10.12", "1.11.1", "1.11.2", "master"}

// written are the texts of the catalogue by version: what FreeSWITCH's sources write. A
// text is the same from since (default: all versions) until (default: the newest).
var written = []struct{ since, until, level, file, text, event string }{
	{"", "", "WARNING", "sofia_reg.c", "SIP auth challenge (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.5", `challenge 203.0.113.5 user="1000" domain="pbx" profile="internal" method="REGISTER"`},
	{"", "", "WARNING", "sofia_reg.c", "SIP auth challenge (INVITE) on sofia profile 'internal' for [9196@pbx] from ip 203.0.113.5", `challenge 203.0.113.5 domain="pbx" profile="internal" method="INVITE" destination="9196"`},
	{"", "", "WARNING", "sofia_reg.c", "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.5", `auth_failure 203.0.113.5 user="1000" domain="pbx" profile="internal" method="REGISTER"`},
	{"", "", "WARNING", "sofia_reg.c", "SIP auth failure (INVITE) on sofia profile 'internal' for [9196@pbx] from ip 203.0.113.5", `auth_failure 203.0.113.5 domain="pbx" profile="internal" method="INVITE" destination="9196"`},
	{"", "1.10.1", "WARNING", "sofia_reg.c", "Can't find user [1001@pbx] from 203.0.113.10\nYou must define a domain called 'pbx' in your directory and add a user with the id=\"1001\" attribute\n" +
		"and you must configure your device to use the proper domain in it's authentication credentials.", `unknown_user 203.0.113.10 user="1001" domain="pbx"`},
	{"1.10.2", "", "WARNING", "sofia_reg.c", "Can't find user [1001@pbx] from 203.0.113.10\nYou must define a domain called 'pbx' in your directory and add a user with the id=\"1001\" attribute\n" +
		"and you must configure your device to use the proper domain in its authentication credentials.", `unknown_user 203.0.113.10 user="1001" domain="pbx"`},
	{"", "", "ERR", "sofia_reg.c", "Can not do authorization without a complete header in REGISTER request from 198.51.100.231:42106", `auth_malformed 198.51.100.231 port=42106 method="REGISTER"`},
	{"", "", "ERR", "sofia_reg.c", "Invalid Authorization header!", "auth_malformed"},
	{"1.10.7", "", "WARNING", "sofia_reg.c", "SIP auth hash algorithm explicitly not allowed. [SHA-512]", `auth_malformed [algorithm]="SHA-512"`},
	{"", "", "WARNING", "sofia_reg.c", `IP 203.0.113.6 Rejected by register acl "trusted"`, `acl_reject 203.0.113.6 [acl]="trusted"`},
	{"", "", "WARNING", "sofia_reg.c", "IP 192.0.2.179 Rejected by user acl [trusted] and no proxy acl present", `acl_reject 192.0.2.179 [acl]="trusted"`},
	{"", "", "WARNING", "sofia_reg.c", "IP 192.0.2.180 Rejected by user acl trusted", `acl_reject [acl]="trusted" [x_auth_ip]="192.0.2.180"`},
	{"", "", "WARNING", "sofia.c", `IP 203.0.113.6 Rejected by acl "trusted"`, `acl_reject 203.0.113.6 [acl]="trusted"`},
	{"1.8.6", "", "DEBUG", "sofia.c", "IP/Port 203.0.113.6 5060 Rejected by acls and auth-calls-acl-only flag is set, rejecting call", "acl_reject 203.0.113.6 port=5060"},
	{"1.6.11", "", "DEBUG", "mod_verto.c", "198.51.100.129:36393 Client Connect from 198.51.100.129:36393 refused by ACL lan", `acl_reject 198.51.100.129 port=36393 [acl]="lan" [channel]="198.51.100.129:36393"`},
	{"", "", "WARNING", "mod_event_socket.c", `IP ::ffff:203.0.113.65 Rejected by acl "esl_clients"`, `esl_denied 203.0.113.65 [acl]="esl_clients"`},
	{"1.4.4", "1.10.5", "DEBUG", "sofia.c", "sofia/internal/1060@pbx receiving invite from 198.51.100.66:50321 version: 1.8.7 git 1a2b3c 64bit", `call 198.51.100.66 port=50321 user="1060" domain="pbx" profile="internal" [version]="1.8.7 git 1a2b3c 64bit"`},
	{"1.4.4", "1.10.5", "DEBUG", "sofia.c", "sofia/internal/anonymous receiving invite from 198.51.100.66:50321 version: 1.8.7  64bit", `call 198.51.100.66 port=50321 user="anonymous" profile="internal" [version]="1.8.7  64bit"`},
	{"1.10.6", "", "INFO", "sofia.c", "sofia/internal/1060@pbx receiving invite from 198.51.100.66:50321 version: 1.10.6  64bit call-id: a1", `call 198.51.100.66 port=50321 user="1060" domain="pbx" profile="internal" call_id="a1" [version]="1.10.6  64bit"`},
	{"1.10.6", "", "INFO", "sofia.c", "sofia/internal/anonymous receiving invite from 198.51.100.66:50321 version: 1.10.6  64bit call-id: a2", `call 198.51.100.66 port=50321 user="anonymous" profile="internal" call_id="a2" [version]="1.10.6  64bit"`},
	{"", "", "WARNING", "switch_core_state_machine.c", "x sofia/internal/1016@pbx Abandoned", `wrong_call_state user="1016" domain="pbx" profile="internal" [channel]="x"`},
	{"", "", "WARNING", "switch_core_state_machine.c", "x sofia/internal/anonymous Abandoned", `wrong_call_state user="anonymous" profile="internal" [channel]="x"`},
	{"1.10.7", "", "WARNING", "mod_verto.c", "Login incorrect for user: 345 domain: pbx", `verto_login_failure user="345" domain="pbx"`},
	{"1.11.1", "", "WARNING", "mod_verto.c", "User 1001@pbx blocked from taking over session 5f3c owned by 1000@pbx", `verto_takeover user="1001@pbx" [owner]="1000@pbx" [session]="5f3c"`},
	{"", "", "CRIT", "switch_core_session.c", "Throttle Error! 9", `session_limit [count]="9"`},
	{"", "", "CRIT", "switch_core_session.c", "Over Session Limit! 1000", `session_limit [count]="1000"`},
	{"", "", "CRIT", "switch_core_session.c", "The system cannot create any sessions at this time.", "session_limit"},
	{"", "", "CRIT", "switch_core_session.c", "The system cannot create any inbound sessions at this time.", "session_limit"},
	{"", "", "CRIT", "switch_time.c", "Over Session Rate of 30!", `session_limit [count]="30"`},
	{"", "", "ERR", "sofia_reg.c", "NO CONTACT! ip: 203.0.113.9, port: 5060", "malformed 203.0.113.9 port=5060"},
	{"", "", "ERR", "sofia.c", "NO CONTACT!", "malformed"},
	{"", "", "ERR", "sofia.c", "Received an invalid packet!", "malformed"},
	{"", "", "ERR", "sofia_reg.c", "Received an invalid packet!", "malformed"},
	{"", "", "WARNING", "sofia_reg.c", `SIP auth failure (REGISTER) due to user-agent-filter.  Filter "^Yealink" User-Agent "Bad"`, `user_agent_rejected method="REGISTER" user_agent="Bad" [filter]="^Yealink"`},
	{"", "", "WARNING", "sofia_reg.c", "SIP auth failure (REGISTER) due to reaching max allowed registrations.  Count: 1", `registration_limit method="REGISTER" [count]="1"`},
	{"", "", "WARNING", "sofia_reg.c", "Empty password denied for user 1000@pbx", `empty_password user="1000" domain="pbx"`},
}

// nameless are rows for lines of other origin: before v1.2, or of builds that log the user alone.
var nameless = []string{"for [<user>] from", "for [<destination>] from", "Rejected by register acl", "Rejected by acl"}

// TestVersions reads what each version writes, in a log and as a record of the event
// socket. Every row of the catalogue must be written by one of them.
func TestVersions(t *testing.T) {
	read := map[string]bool{} // rows
	d := builtinSource().newDecoder(nil, 64<<10, time.Time{})
	for i, version := range versions {
		idle := ""
		if i >= slices.Index(versions, "1.10.7") {
			idle = " 97.10%"
		}
		for n, w := range written {
			if w.since != "" && i < slices.Index(versions, w.since) || w.until != "" && i > slices.Index(versions, w.until) {
				continue
			}
			text := fmt.Sprintf("2026-05-04 10:11:%02d.131415%s [%s] %s:%d %s\n", n, idle, w.level, w.file, 100+i, w.text)
			first, _, _ := strings.Cut(text, "\n")
			if r := (reading{}); d.read(first, nil, &r) {
				read[r.File+r.Level+r.pattern.Text] = true
			}
			got := builtinSource().collect(strings.NewReader(text), time.Time{}, nil, defaultSizes())
			log, record := "", ""
			if len(got.events) == 1 {
				_, log, _ = strings.Cut(describe(&got.events[0]), " ")
			}
			if e, doubted := Framed("esl.pbx", time.UTC)(text); e != nil && !doubted {
				_, record, _ = strings.Cut(describe(e), " ")
			}
			if log != w.event || record != w.event || got.stats.Doubted != 0 {
				t.Errorf("v%s: %s\n in a log %s, %d doubted\nas a record %s\n       want %s", version, text, log, got.stats.Doubted, record, w.event)
			}
		}
	}
	for _, b := range builtin {
		isNameless := slices.ContainsFunc(nameless, func(s string) bool { return strings.HasSuffix(b.line, s) || strings.Contains(b.line, s+" ip") })
		if !read[b.file+b.level+b.line] && !isNameless {
			t.Errorf("no version writes %q of %s", b.line, b.file)
		}
	}
}
