package sip

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	trace := `
recv 420 bytes from udp/[203.0.113.9]:5071 at 12:34:56.789012:
   ------------------------------------------------------------------------
   REGISTER sip:198.51.100.5 SIP/2.0
   Via: SIP/2.0/UDP 203.0.113.9:5071;branch=z9hG4bK1
   From: "x" <sip:100@198.51.100.5>;tag=1
   To: <sip:100@198.51.100.5>
   Call-ID: a@b
   CSeq: 1 REGISTER
   Contact: <sip:100@203.0.113.9:5071>
   User-Agent: friendly-scanner
   Content-Length: 0
   
   ------------------------------------------------------------------------
send 500 bytes to udp/[203.0.113.9]:5071 at 12:34:56.789512:
   ------------------------------------------------------------------------
   SIP/2.0 401 Unauthorized
   Via: SIP/2.0/UDP 203.0.113.9:5071;branch=z9hG4bK1
   From: "x" <sip:100@198.51.100.5>;tag=1
   To: <sip:100@198.51.100.5>;tag=2
   Call-ID: a@b
   CSeq: 1 REGISTER
   WWW-Authenticate: Digest realm="198.51.100.5", nonce="abc", algorithm=MD5
   Content-Length: 0
   
   ------------------------------------------------------------------------
`
	for _, c := range []struct{ input, want string }{
		{trace, `
Packet:  274 bytes from 203.0.113.9:5071 to the switch over udp
Request: "REGISTER" to "" at "198.51.100.5"
  from        "100@198.51.100.5"
  user_agent  "friendly-scanner"
Event:   sip_request
  ip          203.0.113.9
  method      "REGISTER"
Packet:  279 bytes from the switch to 203.0.113.9:5071 over udp
Answer:  401 "Unauthorized" to "REGISTER"
  challenge of the realm "198.51.100.5"
Event:   challenge
  ip          203.0.113.9
Event:   sip_request
  answer      401`},
		{"MESSAGE sip:a@b SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK2\nFrom: <sip:\x1b[31m@b>;tag=1\nTo: <sip:a@b>\nCall-ID: x\nCSeq: 1 MESSAGE\n" +
			"Authorization: Digest username=\"1000\", realm=\"b\", nonce=\"n\", uri=\"sip:a@b\", response=\"0\"\n", `
Packet:  232 bytes from the peer (192.0.2.1 stands for it) to the switch over udp
Request: "MESSAGE" to "a" at "b"
  from        "\x1b[31m@b"
  credentials of "1000" in the realm "b"
Event:   sip_request
  user        "1000"`},
		{"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n\r\n", `
Refused: malformed SIP message: no From header
Event:   sip_malformed
  message     "malformed SIP message: no From header"`},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", `
No SIP: no line begins a message, as "OPTIONS sip:100@192.0.2.2 SIP/2.0" does.
Event:   not_sip
  kind        "web"`},
		{"\r\n\r\n", `
No SIP: no line begins a message, as "OPTIONS sip:100@192.0.2.2 SIP/2.0" does.
No event.`},
	} {
		got := made(t, "").explain(c.input)
		rest := got
		for line := range strings.Lines(strings.TrimSpace(c.want) + "\n") {
			_, after, found := strings.Cut(rest, line)
			if !found {
				t.Errorf("%q: %q is not in\n%s", c.input, line, got)
				break
			}
			rest = after
		}
	}
}
