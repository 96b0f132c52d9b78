package forgery

import (
	"slices"
	"strings"

	"freeswitch-security/sources/logfile/record"
)

// isOpening reports whether lines of an attacker may follow a line that no session
// wrote: the head of a packet in a SIP trace, or a verto login, whose user name may
// hold line breaks.
func isOpening(line string) bool {
	return record.IsTrace(line) || isVertoLogin(line)
}

// isVertoLogin recognises the line of a verto login that failed.
func isVertoLogin(line string) bool {
	_, message, _ := strings.Cut(line, "]") // behind the level
	return strings.HasPrefix(message, " mod_verto.c:") && strings.Contains(message, " Login incorrect for user: ")
}

// inLogin doubts a line in the middle of the user name of a verto login: FreeSWITCH
// writes nothing else before the end of the name. It doubts nothing if an attacker
// may have invented the login.
func (d *Detector) inLogin(c *LineContext, s *Suspicion) {
	const nameEnd = " domain: "
	login := -1
	for i := range d.near {
		switch line := d.near[i].line; {
		case strings.Contains(line, nameEnd):
			login = -1
		case login < 0 && isVertoLogin(line):
			login = i
		}
	}
	// A session's line in the last two pieces may be followed by lines of an attacker.
	if login >= 0 && !slices.ContainsFunc(d.farBefore(c, 2), func(n neighbour) bool { return n.uuid != "" }) {
		s.Doubt, s.Against = InsideLogin, d.near[login].line
	}
}

// behindText reports whether the line before is neither a record nor a further line
// of one, as in a packet of a SIP trace.
func (d *Detector) behindText() bool {
	if len(d.near) == 0 {
		return false
	}
	line := d.near[len(d.near)-1].line
	return !record.Begins(line) && !d.Further(line)
}

// inTrace doubts a line in a received packet, which a SIP trace shows unchanged.
func (d *Detector) inTrace(c *LineContext, s *Suspicion) {
	const lineBreak, rule = 2, 1 // SIP's is "\r\n", the log's is not; a line of dashes follows the head
	lines := d.farBefore(c, piecesBefore)
	for i, n := range lines {
		left, ok := record.ReceivedLength(n.line)
		if !ok {
			continue
		}
		for _, part := range lines[min(i+1+rule, len(lines)):] {
			left -= len(part.line) + lineBreak
		}
		if left > 0 {
			s.Doubt, s.Against = InsideTrace, n.line
		}
	}
}
