package esl

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/event"
)

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
	bound := func(s string) string { return event.Bound(s, event.MaxField) }
	d.attempts.Put(dialogue{ip, port, bound(h["from-user"])}, credentials{
		at: at, user: bound(user), domain: bound(domain), callID: bound(h["call-id"]), shown: shown,
	})
}
