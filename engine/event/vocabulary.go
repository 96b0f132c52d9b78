package event

// The vocabulary: the names that mean the same whichever source reports them,
// so that a rule tried on a recorded log is the rule that runs on the live
// event stream.
const (
	Challenge         = "challenge"           // credentials were asked for; ordinary traffic
	AuthFailure       = "auth_failure"        // credentials were refused
	AuthSuccess       = "auth_success"        // credentials were accepted
	AuthStale         = "auth_stale"          // right or wrong, the nonce had expired
	AuthMalformed     = "auth_malformed"      // an authorization header that is none
	UnknownUser       = "unknown_user"        // no such account in the directory
	ACLReject         = "acl_reject"          // refused by an access list of a SIP profile or user
	ESLDenied         = "esl_denied"          // refused by the access list of the event socket
	Registered        = "registered"          // a registration was stored
	Unregistered      = "unregistered"        // a registration was removed or expired
	Call              = "call"                // an INVITE was taken up
	CallRejected      = "call_rejected"       // a call ended with CALL_REJECTED
	WrongCallState    = "wrong_call_state"    // an INVITE was challenged and then abandoned
	VertoLoginFailure = "verto_login_failure" // a verto login was refused
	SessionLimit      = "session_limit"       // the switch refused a call for lack of room
	LogForgery        = "log_forgery"         // a log line that is not what it claims to be
	Listed            = "listed"              // the address is on a list from elsewhere
	Gateway           = "gateway"             // the switch itself registers at or calls through this address; fields["gateway"] is its name
	GatewayRemoved    = "gateway_removed"     // it does so no longer; without an address: none of the gateway's
)

// Names lists the vocabulary in the order of its documentation.
var Names = []string{
	Challenge, AuthFailure, AuthSuccess, AuthStale, AuthMalformed, UnknownUser, ACLReject, ESLDenied,
	Registered, Unregistered, Call, CallRejected, WrongCallState, VertoLoginFailure, SessionLimit,
	LogForgery, Listed, Gateway, GatewayRemoved,
}
