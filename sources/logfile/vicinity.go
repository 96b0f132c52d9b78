package logfile

import "bytes"

// pieceLength bounds what FreeSWITCH writes at once of a session's message, in
// bytes: the UUID and the text behind it, which is cut off there. Whatever a
// caller adds by line breaks in his own text is in the same piece.
const pieceLength = 2048

// How far around a line is looked, in pieces. Before it: a line of a caller begins
// at most one piece behind the true line that carries it; the INVITE of that
// session is mostly in the pieces before. Behind it: a session that goes on for
// more than a piece undisturbed is one of FreeSWITCH's.
const (
	piecesBefore = 8
	piecesBehind = 3
)

// behind and before are how much of the log is needed around a line, in bytes.
func (l *limits) before() int { return piecesBefore*l.piece + 1 }
func (l *limits) behind() int { return piecesBehind * l.piece }

// A vicinity is a line and the log around it: at least as much of it as is looked
// at, as far as there is any.
type vicinity struct {
	before []byte // up to the line
	line   string
	length int    // of the line with its line break
	behind []byte // from the next line on
}

// A neighbour is a whole line near another one.
type neighbour struct {
	at   int // where it begins, in bytes from the beginning of the other one
	line string
	uuid string // of the session that wrote it; "" if none did
}

func newNeighbour(at int, line string) neighbour {
	n := neighbour{at: at, line: line}
	if length := uuidLength(line); length > 0 {
		n.uuid = line[:length-1]
	}
	return n
}

// linesBefore appends the whole lines that begin at most limit bytes before a
// line, the nearest one last. It does not look beyond a line that is too long.
func (l *limits) linesBefore(before []byte, limit int, lines []neighbour) []neighbour {
	first := len(lines)
	start := max(0, len(before)-limit)
	if start > 0 && before[start-1] != '\n' {
		i := bytes.IndexByte(before[start:], '\n')
		if i < 0 {
			return lines
		}
		start += i + 1
	}
	for rest := before[start:]; len(rest) > 0; {
		at := -len(rest)
		var line string
		line, rest = l.cut(rest)
		if len(line) > l.maxLine {
			lines = lines[:first]
			continue
		}
		lines = append(lines, newNeighbour(at, line))
	}
	return lines
}

// farBefore gives the lines that begin at most so many pieces before a line. They
// are valid until it is called again.
func (d *decoder) farBefore(v *vicinity, pieces int) []neighbour {
	d.far = d.linesBefore(v.before, pieces*d.piece, d.far[:0])
	return d.far
}

// linesBehind calls f with the lines that end at most limit bytes behind a line,
// until f has seen enough. It does not look beyond a line that is too long. ended
// tells that the input ended before that limit: more of it might change what was
// seen.
func (l *limits) linesBehind(v *vicinity, limit int, f func(neighbour) bool) (ended bool) {
	for rest := v.behind; ; {
		at := len(v.behind) - len(rest)
		end := bytes.IndexByte(rest, '\n')
		if at+end+1 > limit {
			return false
		}
		if end < 0 {
			return len(rest) <= limit-at && len(rest) <= l.maxLine
		}
		line := l.line(rest[:end])
		if len(line) > l.maxLine || !f(newNeighbour(v.length+at, line)) {
			return false
		}
		rest = rest[end+1:]
	}
}

// isCarrier reports whether lines of a caller's may follow, although no session
// wrote the line: a packet in a SIP trace, or a verto login, whose user name may
// hold line breaks.
func isCarrier(line string) bool {
	return isTrace(line) || isVertoLogin(line)
}

// isProven reports whether a session is one of FreeSWITCH's. A caller cannot know
// the UUID of one; he can make one up, but the lines that he writes with it are in
// a piece that begins with the UUID of a true one. So a line proves its session
// if no line of another begins within a piece before it. Behind a carrier, where
// pieces may be longer, nothing is proven.
// ended tells that more of the input might prove it.
func (d *decoder) isProven(uuid string, v *vicinity) (proven, ended bool) {
	lines := append(d.farBefore(v, piecesBefore/2), newNeighbour(0, v.line))
	other, carried := lines[0].at, false
	look := func(n neighbour) bool {
		switch {
		case n.uuid != "" && n.uuid != uuid:
			other = n.at
		case n.uuid == uuid:
			proven = n.at-other > d.piece
		default:
			carried = isCarrier(n.line)
		}
		return !carried && !proven
	}
	for _, n := range lines {
		if !look(n) {
			return proven, false
		}
	}
	ended = d.linesBehind(v, d.behind(), look)
	return proven, ended && !proven
}
