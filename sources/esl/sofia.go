package esl

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/event"
)

// FreeSWITCH's names for the two sides of a request are not to be trusted: in
// the events of sofia_reg.c, "from" is the To header in pre_register,
// register_attempt and register, and "to" the From header; in register_failure
// "to" is the To header. For a REGISTER both headers name the account, for an
// INVITE To is the number that was dialled.

// nobody is what FreeSWITCH writes for the account of an Authorization header
// that it did not read to its end.
const nobody = "unknown"

// attemptWindow is how long after the attempt the failure of the same request is
// reported. Both are sent by one thread; FreeSWITCH's clock runs in steps of 20 ms.
const attemptWindow = 2 * time.Second

// A dialogue is where a request comes from, and its To header: two requests of
// one phone are told apart by it.
type dialogue struct {
	ip   netip.Addr
	port uint16
	to   string
}

// A credential is what a refused attempt tells and its failure does not.
type credential struct {
	at                   time.Time
	user, domain, callID string
	shown                bool // the account is the digest's, not the From header's
}

// attempt reads sofia::register_attempt: the account of a digest, and what came
// of it. One that was refused is reported with its failure.
func (d *decoder) attempt(name string, headers map[string]string) *event.Event {
	switch headers["auth-result"] {
	case "FORBIDDEN":
		if d.wants(event.AuthFailure) {
			d.noteAttempt(headers)
		}
	case "SUCCESS", "RENEWED":
		return d.build(event.AuthSuccess, name, headers, fillDigest)
	case "STALE":
		return d.build(event.AuthStale, name, headers, fillDigest)
	}
	return nil
}

func (d *decoder) noteAttempt(headers map[string]string) {
	at, ok := stamp(headers)
	ip, port := address(headers["network-ip"], headers["network-port"])
	if !ok || !ip.IsValid() {
		return
	}
	user, domain, shown := account(headers)
	bound := func(s string) string { return event.Bound(s, event.MaxField) }
	d.attempts.Put(dialogue{ip, port, bound(headers["from-user"])}, credential{
		at: at, user: bound(user), domain: bound(domain), callID: bound(headers["call-id"]), shown: shown,
	})
}

// account is the one that a digest is for, with the realm for its domain. Where
// the digest was not read (shown is false), it is the one in the From header.
func account(headers map[string]string) (user, domain string, shown bool) {
	user, domain = headers["username"], headers["realm"]
	if user == "" || user == nobody {
		return headers["to-user"], headers["to-host"], false
	}
	if domain == "" {
		domain = headers["to-host"]
	}
	return user, domain, true
}

// fillDigest fills an event from a register_attempt.
func fillDigest(e *event.Event) {
	fillSender(e)
	e.User, e.Domain, _ = account(e.Fields)
	e.ToUser = e.Fields["from-user"]
	if e.Fields["from-user"] != e.Fields["to-user"] {
		e.Destination = e.Fields["from-user"]
	}
}

// fillFailure fills an event from a register_failure and the attempt before it.
func (d *decoder) fillFailure(e *event.Event) {
	fillSender(e)
	e.Method = e.Fields["registration-type"]
	e.ToUser = e.Fields["to-user"]
	e.User, e.Domain = e.ToUser, e.Fields["to-host"]
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

// fillChallenge fills an event from a pre_register. It is sent alike for REGISTER,
// INVITE, SUBSCRIBE and MESSAGE: where From and To name different users, it is
// taken for a call.
func fillChallenge(e *event.Event) {
	fillSender(e)
	e.User, e.Domain = e.Fields["to-user"], e.Fields["to-host"]
	e.ToUser = e.Fields["from-user"]
	if e.ToUser != e.User {
		e.Destination = e.ToUser
	}
}

// fillRegistered fills an event from sofia::register. Its field "authenticated" says
// whether a password was shown for it: only then does FreeSWITCH merge the
// account's variables into the event. Where a profile takes registrations blindly,
// or an access list let the sender in, they are missing.
func fillRegistered(e *event.Event) {
	fillSender(e)
	e.User, e.Domain = e.Fields["from-user"], e.Fields["from-host"]
	e.Fields["authenticated"] = "false"
	if shown := e.Fields["sip_auth_username"]; shown != "" && shown == e.Fields["username"] {
		e.Fields["authenticated"] = "true"
	}
}

// fillUnregistered fills an event from sofia::unregister or sofia::expire, of which
// the latter names the account in its own way.
func fillUnregistered(e *event.Event) {
	fillSender(e)
	e.User, e.Domain = e.Fields["from-user"], e.Fields["from-host"]
	if e.User == "" {
		e.User, e.Domain = e.Fields["user"], e.Fields["host"]
	}
}

// fillSender fills what all events of sofia_reg.c tell.
func fillSender(e *event.Event) {
	setAddress(e, e.Fields["network-ip"], e.Fields["network-port"])
	e.Profile = e.Fields["profile-name"]
	e.CallID = e.Fields["call-id"]
	e.UserAgent = e.Fields["user-agent"]
}

// fillAbandoned fills an event from sofia::wrong_call_state, which spells its headers
// in its own way.
func fillAbandoned(e *event.Event) {
	setAddress(e, e.Fields["network_ip"], e.Fields["network_port"])
	e.User = e.Fields["from_user"]
}

// fillGateway fills an event about one of the switch's own gateways.
func fillGateway(e *event.Event) {
	setAddress(e, e.Fields["Register-Network-IP"], e.Fields["Register-Network-Port"])
	e.Profile = e.Fields["profile-name"]
	e.Fields["gateway"] = e.Fields["Gateway"]
}
