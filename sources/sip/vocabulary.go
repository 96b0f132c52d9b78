package sip

import (
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// onAll are the fields of every event.
var onAll = []string{"ip", "port", "transport", "profile", "proven"}

// ofMessage are those of an event that a SIP message led to.
var ofMessage = append([]string{"user", "domain", "method", "user_agent", "call_id", "to_user", "destination", "answer", "repeat"}, onAll...)

// ofLogin are those of credentials. The sender is that of a packet whose nonce was sent elsewhere.
var ofLogin = append([]string{"nonce_ip"}, ofMessage...)

// vocabulary is what package exchange reports.
var vocabulary = func() (v plugin.Vocabulary) {
	for _, add := range []plugin.EventSpec{
		{Name: event.SIPRequest, Fields: ofLogin},
		{Name: event.Challenge, Fields: ofMessage},
		{Name: event.AuthMalformed, Fields: ofMessage},
		{Name: event.AuthFailure, Fields: ofLogin, Raw: []string{"sender"}},
		{Name: event.AuthStale, Fields: ofLogin, Raw: []string{"sender"}},
		{Name: event.AuthSuccess, Fields: ofLogin},
		{Name: event.Registered, Fields: ofLogin, Raw: []string{"authenticated", "contact", "expires", "username"}},
		{Name: event.Unregistered, Fields: ofLogin, Raw: []string{"authenticated", "contact"}},
		{Name: event.Call, Fields: ofLogin, Raw: []string{"variable_sip_authorized"}},
		{Name: event.CallRejected, Fields: ofLogin},
		{Name: event.Dialogue, Fields: ofLogin},
		{Name: event.SIPMalformed, Fields: append([]string{"message"}, ofMessage...)},
		{Name: event.NotSIP, Fields: append([]string{"message"}, onAll...), Raw: []string{"kind"}},
	} {
		v.Add(add)
	}
	return v
}()
