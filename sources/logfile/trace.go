package logfile

import (
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// behindText reports whether the line before is neither a record nor what
// FreeSWITCH writes behind one, as in a packet of a SIP trace.
func (d *decoder) behindText() bool {
	if len(d.near) == 0 {
		return false
	}
	line := d.near[len(d.near)-1].line
	if beginsRecord(line) {
		return false
	}
	for _, f := range furtherLines {
		for i := range f.lines {
			if f.lines[i].match(line, &match{}) == matches {
				return false
			}
		}
	}
	return true
}

// inTrace finds out whether a line stands in a packet that FreeSWITCH received,
// which a SIP trace shows as it came. The sender is told if that is the only packet
// in question and the line's stamp is not the time of the packet, as it would be of
// a true line that another thread wrote in its middle.
func (d *decoder) inTrace(h *header, v *vicinity, s *suspicion) {
	const lineBreak, rule = 2, 1 // SIP's is "\r\n", the log's is not; a line of dashes follows the head
	lines := d.farBefore(v, piecesBefore)
	found, sessions := 0, 0
	for i, n := range lines {
		if n.uuid != "" {
			sessions++
		}
		packet, ok := parseReceived(n.line)
		if !ok {
			continue
		}
		for _, part := range lines[min(i+1+rule, len(lines)):] {
			packet.length -= len(part.line) + lineBreak
		}
		if packet.length <= 0 {
			continue
		}
		found++
		s.doubt, s.against, s.sender = insideTrace, n.line, packet.sender
		if packet.isAt(&h.stamp) {
			s.sender = netip.Addr{}
		}
	}
	if found > 1 || sessions > 0 {
		s.sender = netip.Addr{}
	}
}

// A received is the head of a packet in a SIP trace.
type received struct {
	length int // of the packet, in bytes
	sender netip.Addr
	at     stamp // the time of day
}

// parseReceived reads "recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:".
func parseReceived(line string) (r received, ok bool) {
	if !strings.HasPrefix(line, "recv ") || !isTrace(line) {
		return r, false
	}
	for i := len("recv "); isDigit(line[i]); i++ {
		r.length = r.length*10 + int(line[i]-'0')
	}
	from, at, ok1 := strings.Cut(line[strings.IndexByte(line, '/')+1:], " at ")
	addr, _, ok2 := event.ParseAddrPort(from)
	end, ok3 := r.at.parseClock(at, 0)
	r.sender = addr
	return r, ok1 && ok2 && ok3 && strings.HasPrefix(at[end:], ":")
}

// isAt reports whether a line is stamped with the time of the packet. The packet's
// is UTC by the system's clock, so that the zone's share, in quarters of an hour,
// is left out.
func (r *received) isAt(t *stamp) bool {
	const quarter = 15 * time.Minute
	ofDay := func(t *stamp) time.Duration {
		return time.Duration(t.minute)*time.Minute + time.Duration(t.second)*time.Second + time.Duration(t.micro)*time.Microsecond
	}
	gap := (ofDay(t) - ofDay(&r.at)).Abs() % quarter
	return min(gap, quarter-gap) <= 2*clockStep
}
