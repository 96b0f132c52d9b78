package logfile

import "strings"

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
// which a SIP trace shows as it came.
func (d *decoder) inTrace(v *vicinity, s *suspicion) {
	const lineBreak, rule = 2, 1 // SIP's is "\r\n", the log's is not; a line of dashes follows the head
	lines := d.farBefore(v, piecesBefore)
	for i, n := range lines {
		left, ok := receivedLength(n.line)
		if !ok {
			continue
		}
		for _, part := range lines[min(i+1+rule, len(lines)):] {
			left -= len(part.line) + lineBreak
		}
		if left > 0 {
			s.doubt, s.against = insideTrace, n.line
		}
	}
}

// receivedLength is how many bytes a packet in a SIP trace has, by its head:
// "recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:".
func receivedLength(line string) (length int, ok bool) {
	if !strings.HasPrefix(line, "recv ") || !isTrace(line) {
		return 0, false
	}
	for i := len("recv "); isDigit(line[i]); i++ {
		length = length*10 + int(line[i]-'0')
	}
	return length, true
}
