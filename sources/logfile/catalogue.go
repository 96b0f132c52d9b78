package logfile

import (
	"slices"
	"strings"
	"sync"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/pattern"
)

// builtin is the catalogue: what FreeSWITCH writes about attacks, in the language of
// `event` blocks. A new line of FreeSWITCH is one row. TestVersions holds which version
// from v1.4 on writes which text; line numbers change and are ignored. Of several
// patterns that match a message, the first names the event.
//
// Left out: the DEBUG line `IP … Rejected by acl "…". Falling back to Digest auth.`,
// which every phone outside of the list causes; `STUN MESSAGE-INTEGRITY verification
// failed`, which an honest browser causes too; and the lines of mod_fail2ban, which
// have a file of their own and no header.
var builtin = []struct {
	event, file, level, line string
	further                  []string // the further lines of the message
}{
	// A challenge is normal: every phone gets one for a registration. For an INVITE, and
	// for a request that FreeSWITCH treats as one, the bracket holds the dialled number.
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>", nil},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:REGISTER>) on sofia profile '<profile>' for [<user>] from ip <ip>", nil},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:INVITE>) on sofia profile '<profile>' for [<destination>@<domain>] from ip <ip>", nil},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:INVITE>) on sofia profile '<profile>' for [<destination>] from ip <ip>", nil},

	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>", nil},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>] from ip <ip>", nil},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:INVITE>) on sofia profile '<profile>' for [<destination>@<domain>] from ip <ip>", nil},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:INVITE>) on sofia profile '<profile>' for [<destination>] from ip <ip>", nil},

	{event.UnknownUser, "sofia_reg.c", "WARNING", "Can't find user [<user>@<domain>] from <ip>", []string{
		`You must define a domain called '<domain>' in your directory and add a user with the id="<user>" attribute`,
		"and you must configure your device to use the proper domain in <its> authentication credentials.", // "it's" before v1.10.2
	}},

	{event.AuthMalformed, "sofia_reg.c", "ERR", "Can not do authorization without a complete header in <method:REGISTER> request from <ip>:<port>", nil},
	{event.AuthMalformed, "sofia_reg.c", "ERR", "Invalid Authorization header!", nil},
	{event.AuthMalformed, "sofia_reg.c", "WARNING", "SIP auth hash algorithm explicitly not allowed. [<algorithm>]", nil},

	// Versions before 1.2 do not name the list.
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by register acl "<acl>"`, nil},
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by register acl`, nil},
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by user acl [<acl>] and no proxy acl present`, nil},
	// The address comes from a header that a proxy sets, or an attacker.
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <x_auth_ip> Rejected by user acl <acl>`, nil},
	{event.ACLReject, "sofia.c", "WARNING", `IP <ip> Rejected by acl "<acl>"`, nil},
	{event.ACLReject, "sofia.c", "WARNING", `IP <ip> Rejected by acl`, nil},
	{event.ACLReject, "sofia.c", "DEBUG", `IP/Port <ip> <port> Rejected by acls and auth-calls-acl-only flag is set, rejecting call`, nil},
	{event.ACLReject, "mod_verto.c", "DEBUG", `<channel> Client Connect from <ip>:<port> refused by ACL <acl>`, nil},

	{event.ESLDenied, "mod_event_socket.c", "WARNING", `IP <ip> Rejected by acl "<acl>"`, nil},

	{event.Call, "sofia.c", "INFO", "sofia/<profile>/<user>@<domain> receiving invite from <ip>:<port> version: <version> call-id: <call_id>", nil},
	{event.Call, "sofia.c", "INFO", "sofia/<profile>/<user> receiving invite from <ip>:<port> version: <version> call-id: <call_id>", nil},
	// Before v1.10.6. Without a Call-ID, an INVITE that is repeated with credentials is a call of its own.
	{event.Call, "sofia.c", "DEBUG", "sofia/<profile>/<user>@<domain> receiving invite from <ip>:<port> version: <version>", nil},
	{event.Call, "sofia.c", "DEBUG", "sofia/<profile>/<user> receiving invite from <ip>:<port> version: <version>", nil},

	// Ten seconds after the challenge of an INVITE that the caller did not answer.
	{event.WrongCallState, "switch_core_state_machine.c", "WARNING", "<channel> sofia/<profile>/<user>@<domain> Abandoned", nil},
	{event.WrongCallState, "switch_core_state_machine.c", "WARNING", "<channel> sofia/<profile>/<user> Abandoned", nil},

	{event.VertoLoginFailure, "mod_verto.c", "WARNING", "Login incorrect for user: <user> domain: <domain>", nil},
	{event.VertoTakeover, "mod_verto.c", "WARNING", "User <user> blocked from taking over session <session> owned by <owner>", nil},

	{event.SessionLimit, "switch_core_session.c", "CRIT", "Throttle Error! <count>", nil},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "Over Session Limit! <count>", nil},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "The system cannot create any sessions at this time.", nil},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "The system cannot create any inbound sessions at this time.", nil},
	{event.SessionLimit, "switch_time.c", "CRIT", "Over Session Rate of <count>!", nil},

	// A SIP request that cannot be one.
	{event.Malformed, "sofia_reg.c", "ERR", "NO CONTACT! ip: <ip>, port: <port>", nil},
	{event.Malformed, "sofia.c", "ERR", "NO CONTACT!", nil},
	{event.Malformed, "sofia.c", "ERR", "Received an invalid packet!", nil},
	{event.Malformed, "sofia_reg.c", "ERR", "Received an invalid packet!", nil},

	// An auth_failure with the address follows.
	{event.UserAgentRejected, "sofia_reg.c", "WARNING", `SIP auth failure (<method:REGISTER>) due to user-agent-filter.  Filter "<filter>" User-Agent "<user_agent>"`, nil},
	{event.EmptyPassword, "sofia_reg.c", "WARNING", "Empty password denied for user <user>@<domain>", nil},
	{event.RegistrationLimit, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) due to reaching max allowed registrations.  Count: <count>", nil},
}

// connected are the source files of FreeSWITCH that know peers over TCP alone.
var connected = []string{"mod_event_socket.c", "mod_verto.c"}

// catalogue is builtin, compiled at its first use: most verbs read no log. invites are the patterns in it that
// tell the address of a session, and continued those with further lines.
var (
	catalogue = sync.OnceValue(compileBuiltin)
	invites   = sync.OnceValue(func() *pattern.Index {
		return pattern.NewIndex(selected(func(p *pattern.Pattern) bool { return p.Event == event.Call }))
	})
	continued = sync.OnceValue(func() pattern.Set {
		return selected(func(p *pattern.Pattern) bool { return p.Further != nil })
	})
)

func compileBuiltin() (all pattern.Set) {
	for _, b := range builtin {
		p := pattern.MustCompile(b.event, b.line)
		p.File, p.Level = b.file, b.level
		p.Proven = p.HasAddress() && slices.Contains(connected, p.File)
		for _, line := range b.further {
			p.Further = append(p.Further, pattern.MustCompile("", line))
		}
		all = append(all, p)
	}
	return all
}

func selected(keep func(*pattern.Pattern) bool) (found pattern.Set) {
	for _, p := range catalogue() {
		if keep(&p) {
			found = append(found, p)
		}
	}
	return found
}

// expected returns the further lines that FreeSWITCH writes after a first one,
// whatever pattern that matches.
func expected(msg string) pattern.Set {
	all := continued()
	for i := range all {
		if strings.HasPrefix(msg, all[i].Start()) {
			return all[i].Further
		}
	}
	return nil
}

// isFurther reports whether a line is a further line of some message.
func isFurther(line string) bool {
	all := continued()
	for i := range all {
		if all[i].Further.Like(line) != nil {
			return true
		}
	}
	return false
}
