package exchange

import (
	"strings"
	"testing"

	"freeswitch-security/engine/event"

	"github.com/google/go-cmp/cmp"
)

const (
	outcomes = event.Challenge + " " + event.AuthFailure + " " + event.AuthStale + " " + event.AuthSuccess
	calls    = outcomes + " " + event.Call + " " + event.CallRejected
)

func TestExchanges(t *testing.T) {
	for _, test := range []struct{ name, script, events, want string }{
		{"FreeSWITCH refuses a REGISTER", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>a 403 b2`, outcomes, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.1 1000 403 proven`},
		{"FreeSWITCH refuses a MESSAGE without a challenge", `
			a>s MESSAGE b1
			s>a 407 b1 nonce=n
			a>s MESSAGE b2 nonce=n cseq=2
			s>a 401 b2`, outcomes, `
			challenge 198.51.100.1 1000 407
			auth_failure 198.51.100.1 1000 401 proven`},
		{"Asterisk challenges again", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>a 401 b2 nonce=m
			a>s REGISTER b3 nonce=m cseq=3
			s>a 401 b3 nonce=o`, outcomes, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.1 1000 401 proven
			auth_failure 198.51.100.1 1000 401 proven`},
		{"a proxy behind the first has a realm of its own", `
			a>s INVITE b1 to=9196
			s>a 407 b1 nonce=n
			a>s INVITE b2 to=9196 nonce=n cseq=2
			s>a 407 b2 nonce=m realm=other`, outcomes, `
			challenge 198.51.100.1 1000 407
			challenge 198.51.100.1 1000 407`},
		{"credentials that are no digest", `
			a>s REGISTER b1 basic
			s>a 401 b1 nonce=n`, outcomes + " auth_malformed", `
			auth_malformed 198.51.100.1 1000 401`},
		{"an expired nonce", `
			a>s REGISTER b1 nonce=old
			s>a 401 b1 nonce=n stale`, outcomes, `
			auth_stale 198.51.100.1 1000 401`},
		{"credentials with a nonce that was never sent", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=other cseq=2
			s>a 200 b2
			a>s REGISTER b3 nonce=other cseq=3
			s>a 403 b3`, outcomes, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.1 1000 403`},
		{"a forged sender uses the nonce of another address", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			b>s REGISTER b2 nonce=n
			s>b 403 b2`, outcomes, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.1 1000 403 sender=198.51.100.2 proven`},
		{"over a connection the sender is what it says", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			b>s REGISTER b2 nonce=n tcp
			s>b 403 b2 tcp`, outcomes, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.2 1000 403 proven`},
		{"a phone moves", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2 contact=1000@h expires=60
			s>a 200 b2
			b>s REGISTER b3 nonce=n cseq=3 contact=1000@h expires=60
			s>b 200 b3`, outcomes + " " + event.Registered + " " + event.Dialogue, `
			challenge 198.51.100.1 1000 401
			auth_success 198.51.100.1 1000 200 proven
			dialogue 198.51.100.1  proven
			registered 198.51.100.1 1000 200 authenticated=true expires=60 contact=1000@h proven
			auth_success 198.51.100.2 1000 200
			registered 198.51.100.2 1000 200 authenticated=true expires=60 contact=1000@h`},
		{"an IPv6 host changes its address", `
			6>s REGISTER b1
			s>6 401 b1 nonce=n
			7>s REGISTER b2 nonce=n cseq=2
			s>7 403 b2`, outcomes, `
			challenge 2001:db8::1 1000 401
			auth_failure 2001:db8::1 1000 403 sender=2001:db8::2 proven`},
		{"a nonce that the switch sends to several addresses", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			b>s REGISTER b2
			s>b 401 b2 nonce=n
			b>s REGISTER b3 nonce=n cseq=2
			s>b 401 b3 nonce=m
			a>s REGISTER b4 nonce=n cseq=2
			s>a 200 b4`, outcomes, `
			challenge 198.51.100.1 1000 401
			challenge 198.51.100.2 1000 401
			auth_failure 198.51.100.2 1000 401
			auth_success 198.51.100.1 1000 200`},
		{"an answer is counted once", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>a 403 b2
			again
			a>s REGISTER b2 nonce=n cseq=2
			s>a 403 b2`, event.AuthFailure, `
			auth_failure 198.51.100.1 1000 403 proven`},
		{"another password in the same transaction is another attempt", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2 password=1
			s>a 401 b2 nonce=n
			a>s REGISTER b2 nonce=n cseq=2 password=2
			s>a 401 b2 nonce=n`, event.AuthFailure, `
			auth_failure 198.51.100.1 1000 401 proven
			auth_failure 198.51.100.1 1000 401 proven`},
		{"a Via that is read in two ways", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>a 403 b2 odd=x
			s>a 403 b2 odd=y`, event.AuthFailure, `
			auth_failure 198.51.100.1 1000 403 proven`},
		{"a Via that sends the answers elsewhere", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>b 403 b2
			a>s REGISTER b3 nonce=n cseq=3
			s>b 200 b3`, outcomes + " " + event.Dialogue, `
			challenge 198.51.100.1 1000 401
			auth_failure 198.51.100.1 1000 403 proven
			auth_success 198.51.100.1 1000 200 proven
			dialogue 198.51.100.1  proven`},
		{"only the switch answers", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			b>s REGISTER b3
			b>s 403 b2
			a>s 200 b2`, event.AuthFailure + " " + event.AuthSuccess, ``},
		{"FreeSWITCH answers OPTIONS without a look at credentials", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s OPTIONS b2 nonce=n
			s>a 200 b2`, outcomes + " " + event.Dialogue, `
			challenge 198.51.100.1 1000 401`},
		{"a profile without passwords", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>x INVITE b2 to=900 nonce=n
			x>a 100 b2
			x>a 480 b2
			a>x REGISTER b3 nonce=n contact=1000@h expires=60
			x>a 200 b3`, calls + " " + event.Registered + " " + event.Dialogue, `
			challenge 198.51.100.1 1000 401
			call 198.51.100.1 1000 480
			call_rejected 198.51.100.1 1000 480
			registered 198.51.100.1 1000 200 authenticated=false expires=60 contact=1000@h`},
		{"a call with a password", `
			a>s INVITE b1 to=900
			s>a 407 b1 nonce=n
			a>s ACK b1
			a>s INVITE b2 to=900 nonce=n cseq=2
			s>a 100 b2
			s>a 180 b2
			s>a 200 b2 to-tag=t
			a>s ACK b3 cseq=2 to-tag=t`, calls, `
			challenge 198.51.100.1 1000 407
			auth_success 198.51.100.1 1000 proven
			call 198.51.100.1 1000 authorized=true proven`},
		{"a call with a wrong password is none", `
			a>s INVITE b1 to=900
			s>a 407 b1 nonce=n
			a>s INVITE b2 to=900 nonce=n cseq=2
			s>a 403 b2`, calls, `
			challenge 198.51.100.1 1000 407
			auth_failure 198.51.100.1 1000 403 proven`},
		{"the dialplan refuses a call with a password", `
			a>s INVITE b1 to=900
			s>a 407 b1 nonce=n
			a>s INVITE b2 to=900 nonce=n cseq=2
			s>a 100 b2
			s>a 403 b2`, calls, `
			challenge 198.51.100.1 1000 407
			auth_success 198.51.100.1 1000 proven
			call 198.51.100.1 1000 authorized=true proven
			call_rejected 198.51.100.1 1000 403 proven`},
		{"where 100 comes before the password is checked, it says nothing", `
			a>s INVITE b1 to=900
			s>a 100 b1
			s>a 407 b1 nonce=n
			a>s INVITE b2 to=900 nonce=n cseq=2
			s>a 100 b2
			s>a 403 b2`, outcomes, `
			challenge 198.51.100.1 1000 407
			auth_failure 198.51.100.1 1000 403 proven`},
		{"a Timestamp elicits 100 before the password is checked", `
			b>s INVITE c1 to=900
			s>b 407 c1 nonce=o
			a>s INVITE b1 to=900 timestamp
			s>a 100 b1
			s>a 407 b1 nonce=n
			a>s INVITE b2 to=900 nonce=n cseq=2 timestamp
			s>a 100 b2
			s>a 403 b2
			b>s INVITE c2 to=900 nonce=o cseq=2
			s>b 100 c2
			s>b 403 c2`, calls, `
			challenge 198.51.100.2 1000 407
			challenge 198.51.100.1 1000 407
			auth_failure 198.51.100.1 1000 403 proven
			auth_success 198.51.100.2 1000 proven
			call 198.51.100.2 1000 authorized=true proven
			call_rejected 198.51.100.2 1000 403 proven`},
		{"an access list refuses a call", `
			a>s INVITE b1 to=900
			s>a 403 b1`, calls, `
			call_rejected 198.51.100.1 1000 403`},
		{"an overloaded switch", `
			a>s INVITE b1 to=900
			s>a 503 b1`, calls, ``},
		{"a caller gives up", `
			a>s INVITE b1 to=900
			s>a 100 b1
			a>s CANCEL b1
			s>a 200 b1
			s>a 487 b1`, calls, `
			call 198.51.100.1 1000`},
		{"a phone asks for its registrations, has two, and ends them", `
			a>s REGISTER b1
			s>a 401 b1 nonce=n
			a>s REGISTER b2 nonce=n cseq=2
			s>a 200 b2 contact=1000@h expires=60
			a>s REGISTER b3 nonce=n cseq=3 contact=1000@h expires=3600
			s>a 200 b3 contact=1000@h expires=60
			a>s REGISTER b4 nonce=n cseq=4 contact=1000@h expires=3600
			s>a 200 b4 contact=1000@other expires=60
			a>s REGISTER b5 nonce=n cseq=5 contact=1000@h expires=0
			s>a 200 b5
			a>s REGISTER b6 nonce=n cseq=6 contact=* expires=0
			s>a 200 b6`, event.Registered + " " + event.Unregistered, `
			registered 198.51.100.1 1000 200 authenticated=true expires=60 contact=1000@h proven
			registered 198.51.100.1 1000 200 authenticated=true expires=3600 contact=1000@h proven
			unregistered 198.51.100.1 1000 200 authenticated=true contact=1000@h proven
			unregistered 198.51.100.1 1000 200 authenticated=true proven`},
		{"a phone registers another account than that of its password", `
			a>s REGISTER b1 user=1005 to=1007
			s>a 401 b1 nonce=n
			a>s REGISTER b2 user=1005 to=1007 nonce=n cseq=2 contact=1007@h expires=60
			s>a 200 b2`, event.Registered, `
			registered 198.51.100.1 1007 200 authenticated=true username=1005 expires=60 contact=1007@h proven`},
		{"requests, their retransmissions and answers", `
			a>s OPTIONS b1
			again
			s>a 200 b1
			again
			+40s
			a>s OPTIONS b1
			a>s BYE b2 to-tag=t
			s>a 200 b2
			a>s OPTIONS b3 to-tag=t
			s>a 481 b3
			a>s ACK b4
			s>a OPTIONS b5`, event.SIPRequest, `
			sip_request 198.51.100.1 1000
			sip_request 198.51.100.1 1000 repeat
			sip_request 198.51.100.1 1000 200 repeat
			sip_request 198.51.100.1 1000
			sip_request 198.51.100.1 1000 481`},
		{"a malformed request", `
			a>s INVITE b1
			s>a 400 b1 reason=Missing_Contact_Header
			again`, event.SIPMalformed, `
			sip_malformed 198.51.100.1 1000 400`},
		{"dialogues", `
			b>x INVITE c1 to=900
			x>b 200 c1 to-tag=t
			b>x ACK c1 to-tag=guess
			b>x ACK c1 to-tag=t
			s>a INVITE c2 from-tag=own
			a>s 200 c2
			+1m
			s>a INVITE c3 from-tag=own
			a>s 200 c3
			+10m
			s>a INVITE c4 from-tag=own
			a>s 180 c4
			a>s 200 c4`, event.Dialogue, `
			dialogue 198.51.100.2  proven
			dialogue 198.51.100.1  proven
			dialogue 198.51.100.1  proven`},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := New(Options{Switch: named("10.77.0.0/24")})
			got := summary(taken(table, run(t, test.script)), test.events)
			want := strings.TrimLeft(strings.ReplaceAll(test.want, "\t", ""), "\n")
			if want != "" && !strings.HasSuffix(want, "\n") {
				want += "\n"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
