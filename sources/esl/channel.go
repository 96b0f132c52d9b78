package esl

import (
	"strings"

	"freeswitch-security/engine/event"
)

// callVariables are the channel's variables that a call's event is made of.
var callVariables = []string{
	"variable_sip_network_ip", "variable_sip_network_port", "variable_sip_authorized",
	"variable_sip_auth_username", "variable_sip_auth_realm", "variable_sip_from_user", "variable_sip_from_host",
	"variable_sip_to_user", "variable_sip_call_id", "variable_sip_user_agent", "variable_sip_via_protocol",
	"variable_sofia_profile_name",
}

// isIncoming reports whether a channel is a call that somebody made to the
// switch. The switch calls itself through mod_loopback: such a channel bears the
// address of the call that it was made for, which was reported already.
func isIncoming(headers map[string]string) bool {
	return headers["Call-Direction"] == "inbound" && !strings.HasPrefix(headers["Channel-Name"], "loopback/")
}

// fillCall fills an event about an incoming channel. A call that was refused before
// the dialplan tells no address.
func fillCall(e *event.Event) {
	f := e.Fields
	setAddress(e, f["Caller-Network-Addr"], f["variable_sip_network_port"])
	if !e.IP.IsValid() {
		setAddress(e, f["variable_sip_network_ip"], f["variable_sip_network_port"])
	}
	e.User, e.Domain = f["variable_sip_from_user"], f["variable_sip_from_host"]
	if user := f["variable_sip_auth_username"]; user != "" && f["variable_sip_authorized"] == "true" {
		e.User, e.Domain = user, f["variable_sip_auth_realm"]
	}
	e.Destination = f["Caller-Destination-Number"]
	e.ToUser = f["variable_sip_to_user"]
	e.CallID = f["variable_sip_call_id"]
	e.UserAgent = f["variable_sip_user_agent"]
	e.Transport = f["variable_sip_via_protocol"]
	e.Profile = f["variable_sofia_profile_name"]
}

// fillVertoLogin fills an event from verto::login. The login is "user@domain", or
// whatever a browser sends.
func fillVertoLogin(e *event.Event) {
	e.IP, e.Port, _ = event.ParseAddrPort(e.Fields["verto_client_address"])
	e.User, e.Domain = e.Fields["verto_login"], ""
	if at := strings.LastIndexByte(e.User, '@'); at >= 0 {
		e.User, e.Domain = e.User[:at], e.User[at+1:]
	}
	e.Profile = e.Fields["verto_profile_name"]
}
