package event

import "strings"

// The vocabulary: names that mean the same from every source, so that a rule tried
// on a recorded log is the rule that runs on the live event stream. [Vocabulary]
// says what each means.
const (
	Challenge         = "challenge"
	AuthFailure       = "auth_failure"
	AuthSuccess       = "auth_success"
	AuthStale         = "auth_stale"
	AuthMalformed     = "auth_malformed"
	UnknownUser       = "unknown_user"
	ACLReject         = "acl_reject"
	ESLDenied         = "esl_denied"
	Registered        = "registered"
	Unregistered      = "unregistered"
	Call              = "call"
	CallAnswered      = "call_answered"
	CallEnded         = "call_ended"
	CallRejected      = "call_rejected"
	WrongCallState    = "wrong_call_state"
	VertoLoginFailure = "verto_login_failure"
	SessionLimit      = "session_limit"
	Malformed         = "malformed"
	UserAgentRejected = "user_agent_rejected"
	RegistrationLimit = "registration_limit"
	EmptyPassword     = "empty_password"
	VertoTakeover     = "verto_takeover"
	SIPRequest        = "sip_request"
	SIPMalformed      = "sip_malformed"
	NotSIP            = "not_sip"
	Dialogue          = "dialogue"
	LogForgery        = "log_forgery"
	Listed            = "listed"
	Gateway           = "gateway"
	GatewayRemoved    = "gateway_removed"
)

// SIPRequestAgain is no name of an event. It stands among the events that are wanted of a source:
// a SIPRequest is to be reported again, with its answer and when it is sent again.
const SIPRequestAgain = "sip_request again"

// Raw is what stands among the events that are wanted of a source for a raw field that a rule reads; that
// of "" stands for all.
func Raw(field string) string { return rawStart + field }

// RawField returns the raw field of a name among the wanted events, if it is one of [Raw].
func RawField(wanted string) (field string, ok bool) { return strings.CutPrefix(wanted, rawStart) }

const rawStart = "field "

// A Word is an event name with its meaning.
type Word struct{ Name, Doc string }

// Vocabulary is the table of event names, in the order of the documentation.
var Vocabulary = []Word{
	{Challenge, "the switch requested credentials; ordinary traffic"},
	{AuthFailure, "the switch refused the credentials"},
	{AuthSuccess, "the switch accepted the credentials"},
	{AuthStale, "the nonce had expired; the credentials may be right or wrong"},
	{AuthMalformed, "the authorization header cannot be parsed, or its algorithm is not allowed"},
	{UnknownUser, "the directory has no such account"},
	{ACLReject, "an access list of a SIP profile or user refused the address"},
	{ESLDenied, "the access list of the event socket refused the address"},
	{Registered, "a registration was stored"},
	{Unregistered, "a registration was removed or has expired"},
	{Call, "the switch accepted an INVITE for processing"},
	{CallAnswered, "a call to the switch was answered"},
	{CallEnded, "a call to the switch has ended; without a uuid: all calls have, because the switch was restarted"},
	{CallRejected, "a call ended with CALL_REJECTED"},
	{WrongCallState, "an INVITE was challenged and then abandoned"},
	{VertoLoginFailure, "a verto login was refused"},
	{SessionLimit, "the switch refused a call because its session limit was reached"},
	{Malformed, "the switch refused a malformed SIP message; the report has an address only for a REGISTER"},
	{UserAgentRejected, "a user's user-agent-filter refused the phone; an auth_failure with the address follows"},
	{RegistrationLimit, "an account has too many registrations; an auth_failure with the address follows"},
	{EmptyPassword, "an account without a password refused the request; an auth_failure with the address follows"},
	{VertoTakeover, "a verto user tried to take over another user's session; the report has no address"},
	{SIPRequest, "a SIP request of a peer, of any method; reported again, as a repeat, with its answer, or when it is sent again"},
	{SIPMalformed, "a SIP message that cannot be parsed, or a request that the switch answered with 400"},
	{NotSIP, "what is no SIP on a SIP port, and no keep-alive: a web request, TLS on a clear port, garbage"},
	{Dialogue, "a peer completed a dialogue with the switch: its login was accepted, or its call was answered and acknowledged"},
	{LogForgery, "a log line was written by a caller"},
	{Listed, "a list from elsewhere contains the address"},
	{Gateway, `the switch registers at or calls through this address; fields["gateway"] is the gateway's name`},
	{GatewayRemoved, "the gateway no longer uses this address; without an address: none of the gateway's"},
}

// Names lists the names of [Vocabulary].
var Names = names(Vocabulary, func(w *Word) string { return w.Name })
