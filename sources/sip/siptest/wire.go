package siptest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// A Wire records the packets between a switch and its peers, in the order of Packets. Not safe
// for concurrent use.
type Wire struct {
	Switch  netip.AddrPort
	Now     time.Time // of the next packet; each packet takes a millisecond
	Packets []packet.Packet

	random *rand.Rand
}

// New returns an empty wire at a switch: "10.77.0.10:5060".
func New(seed uint64, at string, now time.Time) *Wire {
	return &Wire{Switch: netip.MustParseAddrPort(at), Now: now, random: rand.New(rand.NewPCG(seed, 0))}
}

// Peer returns a peer of the switch: "198.51.100.65:5060", the name of its account, its User-Agent.
func (w *Wire) Peer(addr, user, agent string) *Peer {
	return &Peer{Addr: netip.MustParseAddrPort(addr), User: user, Agent: agent, wire: w}
}

// add records a packet.
func (w *Wire) add(from, to netip.AddrPort, over packet.Transport, payload []byte) {
	w.Packets = append(w.Packets, packet.Packet{Time: w.Now, From: from, To: to, Transport: over, Payload: payload})
	w.Now = w.Now.Add(time.Millisecond)
}

// token returns so many random letters and digits.
func (w *Wire) token(n int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[w.random.IntN(len(letters))]
	}
	return string(b)
}

// nonce returns a nonce as FreeSWITCH makes it: a random UUID.
func (w *Wire) nonce() string {
	a, b := w.random.Uint64(), w.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-9%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// What FreeSWITCH says of itself.
const (
	switchAgent = "User-Agent: FreeSWITCH-mod_sofia/1.10.12-release~64bit"
	allow       = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE\r\n" +
		"Supported: timer, path, replaces"
	allowEvents = "Allow-Events: talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info, sla, " +
		"include-session-description, presence.winfo, message-summary, refer"
)

var reasons = map[int]string{100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 400: "Bad Request",
	401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required", 480: "Temporarily Unavailable",
	486: "Busy Here", 487: "Request Terminated", 603: "Decline"}

// sdp returns the description of a session.
func (w *Wire) sdp(owner string, at netip.Addr) string {
	session, port := 1795800000+w.random.IntN(100_000), 16384+2*w.random.IntN(8192)
	return lines("v=0", fmt.Sprintf("o=%s %d %d IN IP4 %s", owner, session, session+1, at), "s="+owner, fmt.Sprintf("c=IN IP4 %s", at), "t=0 0",
		fmt.Sprintf("m=audio %d RTP/AVP 0 101", port), "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20")
}

// lines joins the lines that are not empty.
func lines(all ...string) string {
	var b strings.Builder
	for _, line := range all {
		if line != "" {
			b.WriteString(line)
			b.WriteString("\r\n")
		}
	}
	return b.String()
}
