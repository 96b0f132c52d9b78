package exchange

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/packet"
)

// addresses are the names of a script. s and z are addresses of one switch, t is another switch.
var addresses = map[string]netip.AddrPort{
	"s": netip.MustParseAddrPort("10.77.0.10:5060"),
	"x": netip.MustParseAddrPort("10.77.0.10:5080"),
	"z": netip.MustParseAddrPort("10.77.0.11:5060"),
	"a": netip.MustParseAddrPort("198.51.100.1:5060"),
	"b": netip.MustParseAddrPort("198.51.100.2:5060"),
	"6": netip.MustParseAddrPort("[2001:db8::1]:5060"),
	"7": netip.MustParseAddrPort("[2001:db8::2]:5060"),
}

// A script is messages, one a line:
//
//	a>s REGISTER b1 user=1000 nonce=n realm=r to-tag=t expires=60 contact=1000@h
//	s>a 401 b1 nonce=n realm=r stale
//	+5s
//
// An answer repeats the headers of the request with its branch. "tcp" makes it a piece of a
// connection; "again" sends the last packet once more.
type script struct {
	t        testing.TB
	now      time.Time
	requests map[string]map[string]string
	packets  []packet.Packet
}

func run(t testing.TB, text string) []packet.Packet {
	t.Helper()
	s := script{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), requests: map[string]map[string]string{}}
	for line := range strings.Lines(text) {
		if line, _, _ = strings.Cut(strings.TrimSpace(line), " #"); line != "" {
			s.step(line)
		}
	}
	return s.packets
}

func (s *script) step(line string) {
	s.t.Helper()
	s.now = s.now.Add(time.Millisecond)
	if after, ok := strings.CutPrefix(line, "+"); ok {
		by, err := time.ParseDuration(after)
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(by)
		return
	}
	if line == "again" {
		p := s.packets[len(s.packets)-1]
		p.Time = s.now
		s.packets = append(s.packets, p)
		return
	}
	words := strings.Fields(line)
	from, to, _ := strings.Cut(words[0], ">")
	o := map[string]string{"user": "1000", "realm": "pbx", "cseq": "1", "from-tag": "f"}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		o[name] = value
	}
	p := packet.Packet{Time: s.now, From: addresses[from], To: addresses[to]}
	if !p.From.IsValid() || !p.To.IsValid() {
		s.t.Fatalf("%s: unknown address", line)
	}
	if _, ok := o["tcp"]; ok {
		p.Transport = packet.TCP
	}
	p.Payload = []byte(s.message(words[1], words[2], o))
	s.packets = append(s.packets, p)
}

// message writes a request, or the answer to the request with the branch.
func (s *script) message(what, branch string, o map[string]string) string {
	var b strings.Builder
	request, isAnswer := o, what[0] <= '9'
	if isAnswer {
		if request = s.requests[branch]; request == nil {
			s.t.Fatalf("no request %s", branch)
		}
		reason := o["reason"]
		if reason == "" {
			reason = "Reason"
		}
		fmt.Fprintf(&b, "SIP/2.0 %s %s\r\n", what, reason)
	} else {
		o["method"] = what
		if what != "ACK" {
			s.requests[branch] = o
		}
		target := "sip:pbx"
		if to := o["to"]; to != "" {
			target = "sip:" + to + "@pbx"
		}
		fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", what, target)
	}
	toUser := request["to"]
	if toUser == "" {
		toUser = request["user"]
	}
	toTag := o["to-tag"]
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	via := branch + o["odd"]
	fmt.Fprintf(&b, "Via: SIP/2.0/UDP h;branch=z9hG4bK%s\r\nFrom: <sip:%s@pbx>;tag=%s\r\nTo: <sip:%s@pbx>%s\r\nCall-ID: %s\r\nCSeq: %s %s\r\n",
		via, request["user"], request["from-tag"], toUser, toTag, "call"+strings.TrimRight(branch, "'"), request["cseq"], request["method"])
	if c := o["contact"]; c != "" {
		if c != "*" {
			c = "<sip:" + c + ">"
		}
		fmt.Fprintf(&b, "Contact: %s\r\n", c)
	}
	if e := o["expires"]; e != "" {
		fmt.Fprintf(&b, "Expires: %s\r\n", e)
	}
	if _, ok := o["basic"]; ok {
		b.WriteString("Authorization: Basic dTpw\r\n")
	}
	if _, ok := o["timestamp"]; ok {
		b.WriteString("TimeStamp: 1\r\n")
	}
	for _, nonce := range []string{o["nonce"], o["nonce2"]} {
		switch {
		case nonce == "":
		case isAnswer:
			fmt.Fprintf(&b, "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\"", o["realm"], nonce)
			if _, stale := o["stale"]; stale {
				b.WriteString(", stale=true")
			}
			b.WriteString("\r\n")
		default:
			fmt.Fprintf(&b, "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"sip:pbx\", response=\"%s\"\r\n",
				request["user"], o["realm"], nonce, "r"+o["password"])
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.String()
}

// summary writes the events that a script is about, one a line.
func summary(events []*event.Event, names ...string) string {
	var b strings.Builder
	for _, e := range events {
		if !strings.Contains(strings.Join(names, " ")+" ", e.Name+" ") {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s", e.Name, e.IP, e.User)
		if e.Answer > 0 {
			fmt.Fprintf(&b, " %d", e.Answer)
		}
		for _, name := range []string{"sender", "authenticated", "username", "expires", "contact", "variable_sip_authorized"} {
			if value := e.Fields[name]; value != "" {
				fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(name, "variable_sip_"), value)
			}
		}
		if e.Proven {
			b.WriteString(" proven")
		}
		if e.Repeat {
			b.WriteString(" repeat")
		}
		b.WriteString("\n")
	}
	return b.String()
}
