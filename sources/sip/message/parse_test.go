package message

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const request = "REGISTER sip:example.com:5060;transport=tcp SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK1;received=1.2.3.4, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\n" +
	"Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK3\r\n" +
	"From: \"Bob, \\\"B\\\" <x>\" <sip:1000;phone=1:secret@example.com:5070;user=phone>;x=\";tag=no\" ; TAG = a1\r\n" +
	"To: <sip:1000@example.com>\r\n" +
	"Call-ID: c1@198.51.100.7\r\n" +
	"CSeq: 42  REGISTER\r\n" +
	"Contact: \"Bob\" <sip:1000@198.51.100.7:5060;line=1>;expires=60;q=1, <sip:other@h>\r\n" +
	"Expires: 3600\r\n" +
	"User-Agent:  Phone 1.0 \r\n" +
	"Authorization: Digest username=\"1000\", realm=\"a, b\",nonce = \"n1\" , uri=\"sip:example.com\",response=\"r1\", algorithm=MD5\r\n" +
	"Content-Length: 4\r\n" +
	"\r\n" +
	"From: <sip:body@example.com>\r\n"

func parse(t *testing.T, text string) *Message {
	t.Helper()
	var m Message
	if err := Parse([]byte(text), &m); err != nil {
		t.Fatalf("Parse: %v of\n%s", err, text)
	}
	return &m
}

// show returns the fields as text.
func show(m *Message) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %d %q uri %s from %s tag %s to %s tag %s id %s branch %s cseq %d agent %s contact %s expires %d all %t length %d",
		m.Method, m.Code, m.Reason, showURI(m.URI), showURI(m.From.URI), m.From.Tag, showURI(m.To.URI), m.To.Tag,
		m.CallID, m.Branch, m.CSeq, m.UserAgent, showURI(m.Contact), m.Expires, m.AllContacts, m.ContentLength)
	for _, c := range m.Credentials {
		fmt.Fprintf(&s, " credentials %s|%s|%s|%s", c.User, c.Realm, c.Nonce, c.Response)
	}
	for _, c := range m.Challenges {
		fmt.Fprintf(&s, " challenge %s|%s|%t", c.Realm, c.Nonce, c.Stale)
	}
	return s.String()
}

func showURI(u URI) string { return fmt.Sprintf("%s@%s", u.User, u.Host) }

func TestParse(t *testing.T) {
	answer := "SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/TCP h;branch=b\r\nf: sip:a@h;tag=1\r\nt: <sip:b@[2001:db8::1]:5060>;tag=2\r\n" +
		"i: x\r\nCSeq: 1 INVITE\r\nServer: FreeSWITCH\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", stale=TRUE, qop=\"auth\"\r\n\r\n"
	for name, test := range map[string]struct{ text, want string }{
		"request": {request, `REGISTER 0 "" uri @example.com from 1000@example.com tag a1 to 1000@example.com tag  id c1@198.51.100.7 branch z9hG4bK1 cseq 42 ` +
			`agent Phone 1.0 contact 1000@198.51.100.7 expires 60 all false length 4 credentials 1000|a, b|n1|r1`},
		"answer": {answer, `INVITE 401 "Unauthorized" uri @ from a@h tag 1 to b@[2001:db8::1] tag 2 id x branch b cseq 1 ` +
			`agent FreeSWITCH contact @ expires -1 all false length -1 challenge r|n|true`},
	} {
		t.Run(name, func(t *testing.T) {
			for form, text := range map[string]string{
				"as it is":      test.text,
				"LF":            strings.ReplaceAll(test.text, "\r\n", "\n"),
				"CR":            strings.ReplaceAll(test.text, "\r\n", "\r"),
				"upper case":    upperNames(test.text),
				"blanks around": strings.ReplaceAll(test.text, ": ", " \t:\t "),
				"folded":        strings.ReplaceAll(test.text, ": ", ":\r\n  "),
				"folded name":   strings.ReplaceAll(test.text, ": ", "\r\n : "),
				"keep-alive":    "\r\n\r\n" + test.text,
			} {
				if got := show(parse(t, text)); got != test.want {
					t.Errorf("%s: %s", form, cmp.Diff(test.want, got))
				}
			}
		})
	}
}

// upperNames writes the names of the headers in capitals.
func upperNames(text string) string {
	lines := strings.SplitAfter(text, "\r\n")
	for i, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ": "); ok {
			lines[i+1] = strings.ToUpper(name) + ": " + value
		}
	}
	return strings.Join(lines, "")
}

// message returns a request with the headers that are given in place of its own.
func message(headers ...string) string {
	have := []string{"Via: SIP/2.0/UDP h;branch=b", "From: <sip:a@h>;tag=1", "To: <sip:b@h>", "Call-ID: x", "CSeq: 1 OPTIONS"}
	text := "OPTIONS sip:b@h SIP/2.0\r\n"
	for _, h := range have {
		name, _, _ := strings.Cut(h, ":")
		if !strings.Contains("\r\n"+strings.Join(headers, "\r\n"), "\r\n"+name+":") {
			text += h + "\r\n"
		}
	}
	for _, h := range headers {
		text += h + "\r\n"
	}
	return text + "\r\n"
}

func TestParseHeaders(t *testing.T) {
	for header, want := range map[string]string{
		"From: sip:a@h:5060;tag=2":                                   "from a@h tag 2",
		"From: <sip:a@h;tag=3>;tag=4":                                "from a@h tag 4",
		"From: Bob B. <sips:a@h>;tag=\"5\"":                          "from a@h tag 5",
		"From: Jürgen <sip:a@h>;tag=6":                               "from a@h tag 6",
		"From: <tel:+49-30;phone-context=x>;tag=7":                   "from +49-30@ tag 7",
		"From: <sip:%61%40b@h>;tag=8":                                "from %61%40b@h tag 8",
		"From: <sip:a@b@c>;tag=9":                                    "from a@b@c tag 9",
		"From: <sip:h>;tag=":                                         "from @h tag  to",
		"From: <1000@h;a=b>;tag=1":                                   "from 1000@h tag 1",
		"From: #<sip:a@h>;tag=1":                                     "from @ tag 1",
		"From: <sip:>;tag=1(x)":                                      "from @ tag 1 to",
		"From: <foo:1000@h>;tag=1":                                   "from 1000@h tag 1",
		"From: <s[p:1000>;tag=1":                                     "from 1000@ tag 1",
		"From: <sip:a?b;c=d@h>;tag=1;TAG=2":                          "from a?b@h tag 1",
		"CSeq: 1  OPTIONS <x>":                                       "cseq 1",
		"Call-ID:":                                                   "id  branch",
		"Via: SIP/2.0/UDP h;branch=b;branch=c":                       "branch c",
		"Contact: <sip:c@h>;expires=1;expires=2":                     "expires 2 all",
		"From: <sip:#1@h>;tag=1":                                     "from #1@h",
		"From: sip:a@h;x=<sip:evil@h>;tag=1":                         "from a@h tag 1",
		"From: \"a\\\" <sip:evil@h>\" <sip:a@h>":                     "from a@h tag  to",
		"To: <sip:b@[::1]:5060;a=b>;tag=1":                           "to b@[::1] tag 1",
		"Via: ,, SIP/2.0/UDP [::1]:5060 ; branch = c":                "branch c",
		"Via: SIP/2.0/UDP h, SIP/2.0/UDP h2;branch=no":               "branch  cseq",
		"Contact: *":                                                 "expires -1 all true",
		"Contact: <sip:c@h>;expires=0\r\nExpires: 5":                 "contact c@h expires 0 all",
		"Contact: <sip:c@h>;expires=x\r\nExpires: 5":                 "contact c@h expires 5 all",
		"Contact: sip:c@h\r\nContact: sip:d@h":                       "contact c@h expires -1",
		"m: sip:c@h":                                                 "contact c@h",
		"l: 7":                                                       "length 7",
		"User-Agent: one\r\nUser-Agent: two":                         "agent one",
		"no colon":                                                   "agent  contact",
		"Proxy-Authorization: digest username=\"u\"":                 "credentials u|||",
		"Authorization: DIGEST ,, nonce=n,,username=\"a\\\\\",x":     `credentials a\\||n|`,
		"Authorization: Digest username=a, USERNAME=b, nonce=\"\"n":  "credentials a||n|",
		"Authorization: Digest nonce=\"n\", nonce=\"m\"":             "credentials ||n|",
		"Authorization: Digest nonce=\"\"n\"":                        "credentials ||n|",
		"Authorization: Digest nonce=a \"b\", realm=\" r \"x":        "credentials | r |a|",
		"Authorization: Digest username=\"a\\\"b, nonce=c\",nonce=d": `credentials a\||d|`,
		"Authorization: Basic dTpw":                                  "length -1",
		"Authorization: Digest":                                      "credentials |||",
	} {
		if got := show(parse(t, message(header))); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
	}
}

func TestParseUnusable(t *testing.T) {
	for header, want := range map[string]bool{
		"Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", response=\"1\"": false,
		"Authorization: Digest username=\"u\", realm=\"r\", nonce=\"\", response=\"\"":   false, // of IMS
		"Authorization: Digest username=\"u\", nonce=\"n\"":                              true,
		"Authorization: Digest":           true,
		"Proxy-Authorization: Basic dTpw": true,
		"No-Authorization: Basic dTpw":    false,
	} {
		if got := parse(t, message(header)).Unusable; got != want {
			t.Errorf("%s: unusable %t, want %t", header, got, want)
		}
	}
}

func TestParseDigestsBounded(t *testing.T) {
	m := parse(t, message(strings.Repeat("Proxy-Authorization: Digest nonce=no\r\n", 9)+"Authorization: Digest nonce=yes"))
	if len(m.Credentials) != maxDigests+1 || string(m.Credentials[maxDigests].Nonce) != "yes" {
		t.Errorf("credentials: %s", show(m))
	}
}

func TestParseMalformed(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "no start line",
		"hello\r\n":                       "no start line",
		"SIP/2.0 99 x\r\n\r\n":            "no start line",
		"SIP/2.0 200x OK\r\n":             "no start line",
		"OPTIONS sip:a SIP/3.0":           "no start line",
		"OPTIONS sip:b@h SIP/2.0\r\n\r\n": "no Via header",
		strings.Replace(message(), "From:", "Form:", 1):        "no From header",
		strings.Replace(message(), "To:", "Too:", 1):           "no To header",
		strings.Replace(message(), "Call-ID:", "X:", 1):        "no Call-ID header",
		strings.Replace(message(), "CSeq:", "X:", 1):           "no CSeq header",
		message("From: <>"):                                    "bad From header",
		message("From: \"Bob"):                                 "bad From header",
		message("To: <sip:a@h"):                                "bad To header",
		message("To:"):                                         "bad To header",
		message("CSeq: OPTIONS"):                               "bad CSeq header",
		message("CSeq: 4294967296 OPTIONS"):                    "bad CSeq header",
		message("CSeq: 1 INVITE"):                              "CSeq names another method",
		message("CSeq: 1 options"):                             "CSeq names another method",
		message("Content-Length: -1"):                          "bad Content-Length header",
		message("Content-Length: 1", "l: 1"):                   "two Content-Length headers",
		message("i: y", "Call-ID: x"):                          "two Call-ID headers",
		message("From: <sip:a@h>", "From: <sip:c@h>"):          "two From headers",
		message("f: <sip:a@h>"):                                "two From headers",
		message("User-Agent: a\x00b"):                          "NUL in a header",
		message("User-Agent: " + strings.Repeat("x", MaxSize)): "longer than 64 KB",
	} {
		var m Message
		err := Parse([]byte(text), &m)
		if !errors.Is(err, ErrMalformed) || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%.100q: %v, want %s", text, err, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	b := []byte(request)
	var m Message
	if n := testing.AllocsPerRun(100, func() { _ = Parse(b, &m) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
