package logfile

import "freeswitch-security/engine/event"

// Names of events that only this source reports, beside the vocabulary.
const (
	malformed         = "malformed"           // a SIP request that cannot be one; no address is told
	userAgentRejected = "user_agent_rejected" // refused by a user's user-agent-filter; an auth_failure with the address follows
	registrationLimit = "registration_limit"  // a user has too many registrations; an auth_failure with the address follows
)

// builtin is the catalogue: what FreeSWITCH writes about attacks, in the
// language of `event` blocks. The texts are the same from v1.6 to v1.11; the
// line numbers are not, and are not looked at. Of several patterns that match a
// message, the first names the event.
//
// Left out on purpose: the DEBUG line `IP … Rejected by acl "…". Falling back to
// Digest auth.`, which every phone outside of the list causes, and the lines of
// mod_fail2ban, which stand in a file of their own without this header.
var builtin = []struct{ event, file, level, line string }{
	// A challenge is ordinary: every good phone gets one for a registration. For
	// an INVITE, and for whatever FreeSWITCH treats as one, the bracket holds the
	// number that was dialled.
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>"},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:REGISTER>) on sofia profile '<profile>' for [<user>] from ip <ip>"},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:INVITE>) on sofia profile '<profile>' for [<destination>@<domain>] from ip <ip>"},
	{event.Challenge, "sofia_reg.c", "WARNING", "SIP auth challenge (<method:INVITE>) on sofia profile '<profile>' for [<destination>] from ip <ip>"},

	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>@<domain>] from ip <ip>"},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) on sofia profile '<profile>' for [<user>] from ip <ip>"},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:INVITE>) on sofia profile '<profile>' for [<destination>@<domain>] from ip <ip>"},
	{event.AuthFailure, "sofia_reg.c", "WARNING", "SIP auth failure (<method:INVITE>) on sofia profile '<profile>' for [<destination>] from ip <ip>"},

	{event.UnknownUser, "sofia_reg.c", "WARNING", "Can't find user [<user>@<domain>] from <ip>"},

	{event.AuthMalformed, "sofia_reg.c", "ERR", "Can not do authorization without a complete header in <method:REGISTER> request from <ip>:<port>"},
	{event.AuthMalformed, "sofia_reg.c", "ERR", "Invalid Authorization header!"},

	// Before 1.8 the list's name was not told.
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by register acl "<acl>"`},
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by register acl`},
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <ip> Rejected by user acl [<acl>] and no proxy acl present`},
	// The address here is what a header says that a proxy sets: a caller may have
	// written it.
	{event.ACLReject, "sofia_reg.c", "WARNING", `IP <x_auth_ip> Rejected by user acl <acl>`},
	{event.ACLReject, "sofia.c", "WARNING", `IP <ip> Rejected by acl "<acl>"`},
	{event.ACLReject, "sofia.c", "WARNING", `IP <ip> Rejected by acl`},
	{event.ACLReject, "sofia.c", "DEBUG", `IP/Port <ip> <port> Rejected by acls and auth-calls-acl-only flag is set, rejecting call`},
	{event.ACLReject, "mod_verto.c", "DEBUG", `<channel> Client Connect from <ip>:<port> refused by ACL <acl>`},

	{event.ESLDenied, "mod_event_socket.c", "WARNING", `IP <ip> Rejected by acl "<acl>"`},

	{event.Call, "sofia.c", "INFO", "sofia/<profile>/<user>@<domain> receiving invite from <ip>:<port> version: <version> call-id: <call_id>"},
	{event.Call, "sofia.c", "INFO", "sofia/<profile>/<user> receiving invite from <ip>:<port> version: <version> call-id: <call_id>"},

	// Ten seconds after an INVITE was challenged and nothing more came.
	{event.WrongCallState, "switch_core_state_machine.c", "WARNING", "<channel> sofia/<profile>/<user>@<domain> Abandoned"},
	{event.WrongCallState, "switch_core_state_machine.c", "WARNING", "<channel> sofia/<profile>/<user> Abandoned"},

	{event.VertoLoginFailure, "mod_verto.c", "WARNING", "Login incorrect for user: <user> domain: <domain>"},

	{event.SessionLimit, "switch_core_session.c", "CRIT", "Throttle Error! <count>"},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "Over Session Limit! <count>"},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "The system cannot create any sessions at this time."},
	{event.SessionLimit, "switch_core_session.c", "CRIT", "The system cannot create any inbound sessions at this time."},
	{event.SessionLimit, "switch_time.c", "CRIT", "Over Session Rate of <count>!"},

	{malformed, "sofia.c", "ERR", "NO CONTACT!"},
	{malformed, "sofia.c", "ERR", "Received an invalid packet!"},
	{malformed, "sofia_reg.c", "ERR", "Received an invalid packet!"},

	{userAgentRejected, "sofia_reg.c", "WARNING", `SIP auth failure (<method:REGISTER>) due to user-agent-filter.  Filter "<filter>" User-Agent "<user_agent>"`},
	{registrationLimit, "sofia_reg.c", "WARNING", "SIP auth failure (<method:REGISTER>) due to reaching max allowed registrations.  Count: <count>"},
}

// catalogue compiles the built-in patterns. A mistake in them is ours.
func catalogue() []pattern {
	patterns := make([]pattern, 0, len(builtin))
	for _, b := range builtin {
		p, problems := compile(b.event, b.line)
		if len(problems) > 0 {
			panic("logfile: built-in pattern " + b.line + ": " + problems[0].detail)
		}
		p.file, p.level = b.file, b.level
		patterns = append(patterns, p)
	}
	return patterns
}
