package exchange

import (
	"slices"

	"freeswitch-security/sources/sip/message"
)

// An outcome is what a final answer says of its request.
type outcome uint8

const (
	processed  outcome = iota // the switch processed it, whatever came of it
	challenged                // the switch requests credentials
	stale                     // the nonce of the credentials had expired
	refused                   // the credentials are wrong
	denied                    // it is refused for another reason, before it was processed
	malformed
)

// A row of verdicts applies to an answer if all its columns do.
type row struct {
	codes       []int
	method      string // "": any
	credentials bool   // the request has credentials
	begun       bool   // it applies, too, once the switch has begun to process the request
	shows       func(*exchange, *message.Message) bool
	outcome     outcome
}

// verdicts says what final answers mean. The first row that applies decides; without one, the
// request was processed.
//
// Once the switch has begun to process a request, its credentials were right: what refuses it
// then is the dialplan, or the callee that a proxy asked.
var verdicts = []row{
	// FreeSWITCH, for a nonce that it does not know as well. Kamailio, OpenSIPS, Asterisk.
	{codes: []int{401, 407}, credentials: true, begun: true, shows: isExpired, outcome: stale},
	// FreeSWITCH refuses MESSAGE and SUBSCRIBE by 401 without a challenge. Kamailio, OpenSIPS and
	// Asterisk challenge again, with another nonce.
	{codes: []int{401, 407}, credentials: true, shows: isOfTheirRealm, outcome: refused},
	// The first request of a phone; another realm, of a proxy behind the first.
	{codes: []int{401, 407}, begun: true, outcome: challenged},
	// FreeSWITCH refuses REGISTER and INVITE. Asterisk's chan_sip, most scripts of Kamailio.
	{codes: []int{403}, credentials: true, outcome: refused},
	// A registrar that has no such account: OpenSIPS, Asterisk with alwaysauthreject=no.
	{codes: []int{404}, method: "REGISTER", credentials: true, outcome: refused},
	// An access list.
	{codes: []int{403}, outcome: denied},
	// FreeSWITCH, for a request that it cannot read.
	{codes: []int{400}, begun: true, outcome: malformed},
	// The switch is overloaded, cannot do what the request needs, or does not know its dialogue.
	{codes: []int{405, 408, 413, 414, 415, 416, 420, 421, 423, 481, 482, 483, 487, 491, 493, 500, 501, 503, 504, 505, 513}, begun: true, outcome: denied},
}

func isExpired(_ *exchange, m *message.Message) bool {
	return slices.ContainsFunc(m.Challenges, func(c message.Digest) bool { return c.Stale })
}

func isOfTheirRealm(x *exchange, m *message.Message) bool { return x.challenged(m) != nil }

// judge returns what the final answer says of a request.
func (x *exchange) judge(m *message.Message) outcome {
	for i := range verdicts {
		r := &verdicts[i]
		if slices.Contains(r.codes, m.Code) && (r.method == "" || r.method == x.method) && (!r.credentials || len(x.credentials) > 0) &&
			(r.begun || !x.begun) && (r.shows == nil || r.shows(x, m)) {
			return r.outcome
		}
	}
	return processed
}

// isRejection reports whether a code refuses a call: the callee is not busy, the caller did not
// give up, and the switch did not fail.
func isRejection(code int) bool {
	return code >= 400 && code/100 != 5 && code != 486 && code != 487 && code != 600
}
