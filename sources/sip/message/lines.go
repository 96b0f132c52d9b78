package message

import "bytes"

// lines walks through the lines of a message's head. A line ends with CRLF, LF or CR, as for
// sofia-sip. The walk is linear: no byte is searched twice for the same end.
type lines struct {
	b   []byte
	pos int
	lf  int // the next LF at or after pos; -1: not searched yet
}

// end returns where the line at pos ends, and where the next begins.
func (l *lines) end() (end, next int) {
	if l.lf < l.pos {
		if i := bytes.IndexByte(l.b[l.pos:], '\n'); i >= 0 {
			l.lf = l.pos + i
		} else {
			l.lf = len(l.b)
		}
	}
	end = l.lf
	if i := bytes.IndexByte(l.b[l.pos:end], '\r'); i >= 0 {
		end = l.pos + i
	}
	switch {
	case end == len(l.b):
		return end, end
	case l.b[end] == '\r' && end+1 == l.lf && l.lf < len(l.b):
		return end, end + 2
	}
	return end, end + 1
}

// first returns the start line. White space that follows it belongs to no line.
func (l *lines) first() []byte {
	end, next := l.end()
	line := l.b[:end]
	for next < len(l.b) && isBlank(l.b[next]) {
		next++
	}
	l.pos = next
	return line
}

// header returns the next header, whose value may be folded. It returns false at the empty line
// and at the end of the bytes. A line without a colon has no name.
func (l *lines) header() (name, value []byte, ok bool) {
	start := l.pos
	end, next := l.end()
	if end == start {
		l.pos = next
		return nil, nil, false
	}
	for next < len(l.b) && isBlank(l.b[next]) {
		l.pos = next
		end, next = l.end()
	}
	l.pos = next
	line := l.b[start:end]
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return nil, nil, true
	}
	return trimRight(line[:colon]), trim(line[colon+1:]), true
}
