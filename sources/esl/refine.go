package esl

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// unknownUser is FreeSWITCH's account of an Authorization header that it did not read
// completely.
const unknownUser = "unknown"

// account returns the account of a digest, with the realm as its domain. Where the
// digest was not read (shown is false), it is that of the From header.
func account(h headers) (user, domain string, shown bool) {
	user, domain = h["username"], h["realm"]
	if user == "" || user == unknownUser {
		return h["to-user"], h["to-host"], false
	}
	return user, cmp.Or(domain, h["to-host"]), true
}

// refineDigest reads the account of a digest, and treats the request as a call if From
// and To differ.
func refineDigest(_ *decoder, e *event.Event, h headers) {
	user, domain, _ := account(h)
	e.User, e.Domain = cut(user), cut(domain)
	if e.ToUser != cut(h["to-user"]) {
		e.Destination = e.ToUser
	}
}

// refineChallenge treats a request as a call if From and To differ.
func refineChallenge(_ *decoder, e *event.Event, _ headers) {
	if e.ToUser != e.User {
		e.Destination = e.ToUser
	}
}

// attemptWindow bounds the time between an attempt and the failure of the same request.
// One thread sends both; FreeSWITCH's clock has steps of 20 ms.
const attemptWindow = 2 * time.Second

// A dialogue is the sender of a request and its To header, by which two requests of one
// phone differ.
type dialogue struct {
	ip   netip.Addr
	port uint16
	to   string
}

// credentials are what an attempt reports and its failure does not.
type credentials struct {
	at                   time.Time
	user, domain, callID string
	shown                bool // the account is that of the digest, not of the From header
}

// noteAttempt keeps a refused attempt for its failure.
func (d *decoder) noteAttempt(h headers) {
	at, ok := stamp(h)
	ip, port := address(h["network-ip"], h["network-port"])
	if !ok || !ip.IsValid() {
		return
	}
	user, domain, shown := account(h)
	d.attempts.Put(dialogue{ip, port, bound(h["from-user"])}, credentials{
		at: at, user: bound(user), domain: bound(domain), callID: bound(h["call-id"]), shown: shown,
	})
}

// refineFailure adds to a failure what only its attempt reports.
func (d *decoder) refineFailure(e *event.Event, _ headers) {
	if e.Method == "INVITE" {
		e.User, e.Destination = "", e.ToUser
	}
	c, ok := d.attempts.Take(dialogue{e.IP, e.Port, e.ToUser})
	if !ok || !within(c.at, e.Time, attemptWindow) {
		return
	}
	e.CallID = c.callID
	if c.shown || e.Method == "INVITE" {
		e.User, e.Domain = c.user, c.domain
	}
}

// refineRegistered sets the raw field "authenticated": whether a password was verified.
// Only then does FreeSWITCH add the variables of the account. They are missing where a
// profile accepts all registrations, or an access list let the sender in.
func refineRegistered(d *decoder, e *event.Event, h headers) {
	d.several.mark(e)
	e.Fields["authenticated"] = "false"
	if shown := h["sip_auth_username"]; shown != "" && shown == h["username"] {
		e.Fields["authenticated"] = "true"
	}
}

// isRegisteredGateway reports whether a gateway has registered at a known address.
func isRegisteredGateway(h headers) bool {
	return h["State"] == "REGED" && h["Register-Network-IP"] != ""
}

func refineGateway(_ *decoder, e *event.Event, h headers) {
	e.Fields["gateway"] = cut(h["Gateway"])
}

// isIncoming reports whether a channel is a call to the switch. The switch calls itself
// through mod_loopback: that channel has the address of the call it was made for, which
// is reported already.
func isIncoming(h headers) bool {
	return h["Call-Direction"] == "inbound" && !strings.HasPrefix(h["Channel-Name"], "loopback/")
}

func isRejected(h headers) bool { return h["Hangup-Cause"] == "CALL_REJECTED" && isIncoming(h) }

// refineCall prefers the account that the switch authorized, and then sets the raw field
// "authenticated": whether it verified the password of that account. An access list, or a profile
// that asks for no password, authorizes calls as well. A call that was refused before the
// dialplan has no address.
//
// Trap: the caller writes the realm of its digest, and FreeSWITCH accepts any where the profile
// has force-register-domain. user_name and domain_name are those of the directory, until the
// dialplan sets them for the called party; then requested_user_name is as the caller wrote it.
func refineCall(_ *decoder, e *event.Event, h headers) {
	if h["Caller-Source"] == "mod_verto" {
		refineVertoCall(e, h)
		return
	}
	if !e.IP.IsValid() {
		e.IP, e.Port = address(h["variable_sip_network_ip"], h["variable_sip_network_port"])
	}
	if h["variable_sip_authorized"] != "true" {
		return
	}
	user := h["variable_sip_auth_username"]
	e.Fields["authenticated"] = strconv.FormatBool(user != "")
	switch {
	case e.Name == event.Call && h["variable_user_name"] != "":
		e.User, e.Domain = cut(h["variable_user_name"]), cut(h["variable_domain_name"])
	case h["variable_requested_user_name"] != "":
		e.User, e.Domain = cut(h["variable_requested_user_name"]), cut(h["variable_requested_domain_name"])
	case user != "":
		e.User, e.Domain = cut(user), cut(h["variable_sip_auth_realm"])
	}
}

// refineVertoCall reads a call of a browser, which has logged in. The raw field variable_sip_authorized
// says so to the rules, as for other calls.
//
// Trap: the browser may set any variable of its call, also those that FreeSWITCH sets for calls of
// phones. Its login and address are in the caller profile.
func refineVertoCall(e *event.Event, h headers) {
	e.User, e.Domain = divide(cut(h["Caller-Username"]))
	e.Port, e.ToUser, e.CallID, e.UserAgent, e.Transport, e.Profile = 0, "", "", "", "", ""
	login := strconv.FormatBool(e.User != "")
	e.Fields["variable_sip_authorized"], e.Fields["authenticated"] = login, login
}

// divide divides "user@domain".
func divide(login string) (user, domain string) {
	if at := strings.LastIndexByte(login, '@'); at >= 0 {
		return login[:at], login[at+1:]
	}
	return login, ""
}

// refineVerto divides a login "user@domain". A browser may send any text, over a connection.
func refineVerto(_ *decoder, e *event.Event, h headers) {
	e.IP, e.Port, e.Proven = event.ParseAddrPort(cut(h["verto_client_address"]))
	e.User, e.Domain = divide(e.User)
}
