package engine

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

const (
	nightDomain = "pbx.example.org"
	nightDays   = 14
)

// monday is the midnight at which the simulation begins.
var monday = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

// A nightSwitch writes what a FreeSWITCH reports over its event socket: registrations and calls of
// customers, and of thieves that use their accounts. The same seed gives the same reports.
type nightSwitch struct {
	rand    *rand.Rand
	frames  []nightFrame
	calls   map[string]*nightCall // by the switch's name of the call
	lived   map[string]string     // account → its manner of life, for messages
	thieves []*thief
}

type nightFrame struct {
	at   time.Time
	text []byte
}

// A nightCall is one call of an account.
type nightCall struct {
	user, number string
	from         netip.AddrPort
	at           time.Time
	answered     time.Time // zero: never
	ends         time.Time
	thief        *thief // nil: a customer's
}

func (c *nightCall) account() ban.Target { return ban.Account(c.user, nightDomain) }

func newNightSwitch(seed uint64) *nightSwitch {
	return &nightSwitch{rand: rand.New(rand.NewPCG(seed, 14)), calls: map[string]*nightCall{}, lived: map[string]string{}}
}

// simulated returns what a switch reports in 14 days, with thieves or without.
func simulated(seed uint64, stolen bool) *nightSwitch {
	s := newNightSwitch(seed)
	s.accounts()
	s.dialer()
	s.callCentre()
	s.salesman()
	s.doctor()
	s.trunks()
	if stolen {
		s.steal()
	}
	return s
}

// report writes one event, with headers as [headersOf] returns them.
func (s *nightSwitch) report(at time.Time, name string, headers ...[]byte) {
	b := append(make([]byte, 0, 256+len(headers[0])), `{"Event-Name":`...)
	if strings.Contains(name, "::") {
		b = append(b, `"CUSTOM","Event-Subclass":`...)
	}
	b = strconv.AppendQuote(b, name)
	b = append(b, `,"Core-UUID":"5fe41761-8575-4cce-9750-207bb77e5728","Event-Date-Timestamp":"`...)
	b = append(strconv.AppendInt(b, at.UnixMicro(), 10), '"')
	for _, some := range headers {
		b = append(b, some...)
	}
	s.frames = append(s.frames, nightFrame{at, append(b, '}')})
}

// headersOf writes names and values in turn.
func headersOf(pairs ...string) (b []byte) {
	for pair := range slices.Chunk(pairs, 2) {
		b = append(append(append(append(append(b, `,"`...), pair[0]...), `":"`...), pair[1]...), '"')
	}
	return b
}

// recording returns all reports in the order of their times, as a connection with `event json` has them.
func (s *nightSwitch) recording() io.Reader {
	slices.SortStableFunc(s.frames, func(a, b nightFrame) int { return a.at.Compare(b.at) })
	var out bytes.Buffer
	for _, f := range s.frames {
		out.WriteString("Content-Length: " + strconv.Itoa(len(f.text)) + "\nContent-Type: text/event-json\n\n")
		out.Write(f.text)
	}
	s.frames = nil
	return &out
}

func ofRegister(user string, from netip.AddrPort) []byte {
	return headersOf(
		"profile-name", "internal", "from-user", user, "from-host", nightDomain, "to-user", user, "to-host", nightDomain,
		"contact", "<sip:"+user+"@"+from.String()+">", "call-id", user+"-"+from.String(), "status", "Registered(UDP)", "expires", "7200",
		"network-ip", from.Addr().String(), "network-port", strconv.Itoa(int(from.Port())), "user-agent", "Yealink SIP-T46U 108.86.0.45",
	)
}

// registers has an account register with its password.
func (s *nightSwitch) registers(at time.Time, user string, from netip.AddrPort) {
	headers, account := ofRegister(user, from), headersOf("username", user, "realm", nightDomain)
	s.report(at, "sofia::register_attempt", headers, account, headersOf("auth-result", "SUCCESS"))
	s.report(at.Add(time.Millisecond), "sofia::register", headers, account, headersOf("sip_auth_username", user, "sip_auth_realm", nightDomain))
}

// fails has the switch refuse a password.
func (s *nightSwitch) fails(at time.Time, user string, from netip.AddrPort) {
	headers := ofRegister(user, from)
	s.report(at, "sofia::register_attempt", headers, headersOf("username", user, "realm", nightDomain, "auth-result", "FORBIDDEN"))
	s.report(at.Add(time.Millisecond), "sofia::register_failure", headers, headersOf("registration-type", "REGISTER"))
}

// stays has a phone register every two hours at one place.
func (s *nightSwitch) stays(begin, end time.Time, user string, from netip.AddrPort) {
	for at := begin.Add(s.within(2 * time.Hour)); at.Before(end); at = at.Add(2*time.Hour - s.within(time.Minute)) {
		s.registers(at, user, from)
	}
}

// dials has an account call. The call rings, is answered unless talk is 0, and ends after that time.
func (s *nightSwitch) dials(at time.Time, user, number string, from netip.AddrPort, talk time.Duration) *nightCall {
	talk = talk.Truncate(time.Millisecond)
	c := &nightCall{user: user, number: number, from: from, at: at, ends: at.Add(2*time.Second + s.within(20*time.Second))}
	if talk > 0 {
		c.answered = at.Add(3*time.Second + s.within(12*time.Second))
		c.ends = c.answered.Add(talk)
	}
	uuid := fmt.Sprintf("0ea680a1-b96e-4bb6-9c1b-%012x", len(s.calls))
	s.calls[uuid] = c
	headers := headersOf(
		"Unique-ID", uuid, "Channel-Call-UUID", uuid, "Call-Direction", "inbound", "Channel-Name", "sofia/internal/"+user+"@"+nightDomain,
		"Channel-Presence-ID", user+"@"+nightDomain, "Caller-Network-Addr", from.Addr().String(), "Caller-Destination-Number", number,
		"variable_sip_from_user", user, "variable_sip_from_host", nightDomain, "variable_sip_to_user", number, "variable_sip_call_id", uuid,
		"variable_sip_network_ip", from.Addr().String(), "variable_sip_network_port", strconv.Itoa(int(from.Port())),
		"variable_sip_via_protocol", "udp", "variable_sip_authorized", "true", "variable_sip_auth_username", user,
		"variable_sip_auth_realm", nightDomain, "variable_user_name", user, "variable_domain_name", nightDomain, "variable_sofia_profile_name", "internal",
	)
	s.report(at, "CHANNEL_CREATE", headers)
	cause := "USER_BUSY"
	if talk > 0 {
		cause = "NORMAL_CLEARING"
		s.report(c.answered, "CHANNEL_ANSWER", headers)
	}
	s.report(c.ends, "CHANNEL_HANGUP_COMPLETE", headers, headersOf("Hangup-Cause", cause))
	return c
}

// within returns a random time below d, in milliseconds.
func (s *nightSwitch) within(d time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(d))).Truncate(time.Millisecond)
}

// digits returns so many random digits.
func (s *nightSwitch) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + s.rand.IntN(10))
	}
	return string(b)
}

// oneOf returns one of several.
func oneOf[T any](s *nightSwitch, of ...T) T { return of[s.rand.IntN(len(of))] }

// place returns a random address of a network, given by its first two bytes.
func (s *nightSwitch) place(a, b byte) netip.AddrPort {
	ip := netip.AddrFrom4([4]byte{a, b, byte(s.rand.IntN(256)), byte(1 + s.rand.IntN(254))})
	return netip.AddrPortFrom(ip, uint16(1024+s.rand.IntN(60000)))
}

// A range of numbers: what they begin with, and how many digits follow.
type numberRange struct {
	begin string
	more  int
}

// numberIn returns a random number of one of the ranges, in digits as of E.164.
func (s *nightSwitch) numberIn(of ...numberRange) string {
	r := oneOf(s, of...)
	return r.begin + s.digits(r.more)
}

// Numbers abroad, as seen from Germany.
var (
	usualAbroad = []numberRange{
		{"3314", 7}, {"336", 8}, {"431", 7}, {"43664", 7}, {"4144", 7}, {"4179", 7}, {"442079", 6}, {"447400", 6}, {"390669", 6}, {"39347", 7},
		{"4822", 7}, {"48512", 6}, {"90212", 7}, {"90532", 7}, {"1212736", 4}, {"3120", 7}, {"3491", 7}, {"34612", 6},
	}
	unusualAbroad = []numberRange{
		{"55113", 7}, {"551197", 7}, {"8133", 7}, {"254712", 6}, {"9198", 8}, {"971501", 6}, {"2782", 7}, {"212661", 6}, {"662", 7}, {"6421", 7},
	}
	ships       = []numberRange{{"87077", 7}, {"88163", 7}}
	cuba        = []numberRange{{"537", 7}, {"535", 7}}
	sierraLeone = []numberRange{{"23225", 6}, {"23276", 6}}
)
