package sip

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/regex"
	"freeswitch-security/sources/sip/packet"
)

// Of a text without addresses, textPeer stands for the peer; textSwitch is always the switch.
var (
	textPeer   = netip.MustParseAddrPort("192.0.2.1:5060")
	textSwitch = netip.MustParseAddrPort("192.0.2.2:5060")

	textNetworks = []netip.Prefix{netip.PrefixFrom(textSwitch.Addr(), 32)}
)

// place is an address in words.
func place(at netip.AddrPort) string {
	switch at {
	case textPeer:
		return "the peer (192.0.2.1 stands for it)"
	case textSwitch:
		return "the switch"
	}
	return at.String()
}

const (
	// startLine matches the first line of a message, which a SIP trace indents.
	startLine = `^([ \t]*)(?:[A-Za-z]{1,32} \S+ SIP/2\.0|(SIP/2\.0 \d{3})\b[^\n]*?)[ \t\r]*$`

	// traceLine matches what FreeSWITCH's SIP trace writes before a message.
	traceLine = `(recv|send) \d+ bytes (?:from|to) (udp|tcp|tls|ws|wss)/\[([0-9a-fA-F.:]+)\]:(\d{1,5})\b`
)

var (
	isStart = regex.New(`(?m)` + startLine)
	isTrace = regex.New(traceLine)
	begins  = regex.New(`(?m)\A\s*(?:` + startLine + `|` + traceLine + `)`) // whose first line is one of these
)

// maxText bounds a text, in bytes.
const maxText = 1 << 20

// texts are the SIP messages of a text: pasted messages, or FreeSWITCH's SIP trace.
type texts struct {
	packets []packet.Packet
	isSIP   bool // it begins with a message: in a log, a line may look like one
}

// readTexts reads messages. A text without any is one packet.
func readTexts(r io.Reader, at time.Time) *texts {
	all, _ := io.ReadAll(io.LimitReader(r, maxText))
	input := string(all)
	starts := isStart.Use().FindAllStringSubmatchIndex(input, -1)
	if starts == nil && len(all) > 0 {
		return &texts{packets: []packet.Packet{{Time: at, From: textPeer, To: textSwitch, Payload: all[:min(len(all), maxDatagram)]}}}
	}
	t, before := &texts{isSIP: begins.Use().MatchString(input)}, 0
	for i, m := range starts {
		end := len(input)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		p := packet.Packet{Time: at.Add(time.Duration(i) * time.Millisecond), From: textPeer, To: textSwitch}
		sent := m[4] >= 0 // an answer, unless the trace tells
		if trace := isTrace.Use().FindAllStringSubmatch(input[before:m[0]], -1); trace != nil {
			sent = readTrace(&p, trace[len(trace)-1])
		}
		if sent {
			p.From, p.To = p.To, p.From
		}
		p.Payload = unindent(input[m[0]:end], input[m[2]:m[3]])
		t.packets, before = append(t.packets, p), m[0]
	}
	return t
}

// readTrace reads transport and peer, and reports whether the switch is the sender.
func readTrace(p *packet.Packet, match []string) (sent bool) {
	for t := packet.UDP; t <= packet.WSS; t++ {
		if t.String() == match[2] {
			p.Transport = t
		}
	}
	addr, err := netip.ParseAddr(match[3])
	port, errPort := strconv.ParseUint(match[4], 10, 16)
	if err == nil && errPort == nil {
		p.From = netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port))
	}
	return match[1] == "send"
}

// unindent makes a message of lines as they were shown: without the indent, the lines of
// dashes and the trace of the next message, and with the line breaks of SIP.
func unindent(lines, indent string) []byte {
	var message strings.Builder
	if next := isTrace.Use().FindStringIndex(lines); next != nil {
		lines = lines[:next[0]]
	}
	for line := range strings.Lines(lines) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r\n"), indent)
		if len(line) < 40 || strings.Trim(line, "- ") != "" {
			message.WriteString(line + "\r\n")
		}
	}
	if !strings.Contains(message.String(), "\r\n\r\n") {
		message.WriteString("\r\n")
	}
	return []byte(message.String())
}

// Next returns the next message.
func (t *texts) Next(p *packet.Packet) error {
	if len(t.packets) == 0 {
		return io.EOF
	}
	*p, t.packets = t.packets[0], t.packets[1:]
	return nil
}
