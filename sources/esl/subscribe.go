package esl

import (
	"slices"
	"strings"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

// reports says what FreeSWITCH's events become, and so which of them a set of
// wanted events needs.
var reports = []struct {
	name  string   // as of [esl.Message.Name]
	makes []string // what it becomes, or helps to make
}{
	{"sofia::pre_register", []string{event.Challenge}},
	// Of a failure, only the attempt tells the account and the Call-ID, and only
	// the failure the method.
	{"sofia::register_attempt", []string{event.AuthSuccess, event.AuthStale, event.AuthFailure}},
	{"sofia::register_failure", []string{event.AuthFailure}},
	{"sofia::register", []string{event.Registered}},
	{"sofia::unregister", []string{event.Unregistered}},
	{"sofia::expire", []string{event.Unregistered}},
	{"sofia::wrong_call_state", []string{event.WrongCallState}},
	{"sofia::gateway_add", []string{event.Gateway}},
	{"sofia::gateway_state", []string{event.Gateway}},
	{"sofia::gateway_delete", []string{event.Gateway, event.GatewayRemoved}},
	{"verto::login", []string{event.VertoLoginFailure}},
	{"CHANNEL_CREATE", []string{event.Call}},
	{"CHANNEL_HANGUP_COMPLETE", []string{event.CallRejected}},
}

// recordEvents are the events that only FreeSWITCH's log tells. What the event
// stream reports as well is taken from there, and not a second time.
var recordEvents = []string{
	event.UnknownUser, event.ACLReject, event.ESLDenied, event.AuthMalformed, event.SessionLimit,
	"malformed", "user_agent_rejected", "registration_limit",
}

// warning is the log level of everything in recordEvents, and the number of
// FreeSWITCH's WARNING; graver levels have smaller numbers.
const warning = 4

// isWanted reports whether one of the events is; nil wants all.
func isWanted(want map[string]bool, names []string) bool {
	return want == nil || slices.ContainsFunc(names, func(name string) bool { return want[name] })
}

// subscription asks for what the wanted events need. The heartbeat is always
// among it: by it a connection is known to be alive.
func (s *source) subscription(want map[string]bool) esl.Subscription {
	sub := esl.Subscription{Events: []string{"HEARTBEAT"}, LogLevel: -1}
	for _, r := range reports {
		switch {
		case !isWanted(want, r.makes):
		case strings.Contains(r.name, "::"):
			sub.Subclasses = append(sub.Subclasses, r.name)
		default:
			sub.Events = append(sub.Events, r.name)
		}
	}
	if s.log && isWanted(want, recordEvents) {
		sub.LogLevel = warning
	}
	return sub
}
