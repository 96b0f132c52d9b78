package message

import "bytes"

// A Splitter cuts what one side of a connection sends into messages. What is not SIP, and what
// follows a lost piece, is discarded up to the next start line. It keeps the unfinished
// head of a message, up to [MaxSize]; bodies are skipped. The zero value is ready for use.
type Splitter struct {
	pending   []byte
	scanned   int  // how far the end of the head was searched for in pending
	body      int  // bytes of the body that are still to come
	spoke     bool // a whole head came
	lost      bool // within a line that is discarded
	discarded int
	beginning [64]byte // of what is discarded
}

// Spoke reports whether a message has come on this side of the connection.
func (s *Splitter) Spoke() bool { return s.spoke }

// Len returns how many bytes of memory are kept: at most twice [MaxSize] and a piece.
func (s *Splitter) Len() int { return cap(s.pending) }

// Discarded returns the first bytes that the last Split discarded, at most 64. It is empty if
// nothing was discarded, and valid until the next Split.
func (s *Splitter) Discarded() []byte { return s.beginning[:s.discarded] }

// Gap says that bytes are missing before the next Split.
func (s *Splitter) Gap() { s.pending, s.scanned, s.body, s.lost = nil, 0, 0, false }

// Split takes the next bytes, and calls emit with the head of each message that they complete:
// the start line and the headers, without the body. The slice is valid until emit returns.
func (s *Splitter) Split(piece []byte, emit func(head []byte)) {
	s.discarded = 0
	if s.body >= len(piece) {
		s.body -= len(piece)
		return
	}
	b := piece[s.body:]
	s.body = 0
	if len(s.pending) > 0 {
		s.pending = append(s.pending, b...)
		b = s.pending
	}
	rest := s.cut(b, emit)
	if len(rest) < len(b) || len(s.pending) == 0 {
		s.pending = append([]byte(nil), rest...) // nil if there is none
	}
}

// cut emits the messages of b, and returns what is to be kept.
func (s *Splitter) cut(b []byte, emit func([]byte)) []byte {
	for {
		if s.lost {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				s.discard(b)
				return nil
			}
			s.discard(b[:i+1])
			b, s.lost = b[i+1:], false
		}
		if s.scanned == 0 {
			b = bytes.TrimLeft(b, " \t\r\n\x00")
			if s.lost = len(b) > 0 && !startsMessage(b); s.lost {
				continue
			}
		}
		end := s.headEnd(b)
		if end < 0 && len(b) <= MaxSize {
			return b
		}
		s.scanned = 0
		if end < 0 || end > MaxSize {
			// All of it, not a line: so a line is searched for an end once.
			s.discard(b[:MaxSize])
			b, s.lost = b[MaxSize:], true
			continue
		}
		s.spoke = true
		emit(b[:end])
		body := contentLength(b[:end])
		if b = b[end:]; body >= len(b) {
			s.body = body - len(b)
			return nil
		}
		b = b[body:]
	}
}

func (s *Splitter) discard(b []byte) {
	if s.discarded == 0 {
		s.discarded = copy(s.beginning[:], b)
	}
}

// headEnd returns where the head ends that begins b, -1 if its empty line has not come.
func (s *Splitter) headEnd(b []byte) int {
	l := lines{b: b, lf: -1, pos: s.scanned}
	if l.pos == 0 {
		if l.first(); l.pos == len(b) {
			return -1 // blanks may follow
		}
	}
	for {
		s.scanned = l.pos
		end, next := l.end()
		if end == len(b) || end == len(b)-1 && b[end] == '\r' {
			return -1 // the rest of the line, or of its end, is to come
		}
		if end == s.scanned {
			return next
		}
		l.pos = next
	}
}

// maxBody is the length of the longest body that is skipped. FreeSWITCH refuses a longer message.
const maxBody = 2 << 20

// contentLength returns the length of the body, 0 if the head does not tell it.
func contentLength(head []byte) int {
	l := lines{b: head, lf: -1}
	l.first()
	for {
		name, value, ok := l.header()
		if !ok {
			return 0
		}
		if headerOf(name) == hContentLength {
			if n, _ := number(value); n > 0 && n <= maxBody {
				return n
			}
			return 0
		}
	}
}

// maxLine is the length of the longest start line.
const maxLine = 4096

// startsMessage reports whether b begins with a start line, or can do so when more bytes come.
func startsMessage(b []byte) bool {
	end := lineEnd(b)
	line := b[:end]
	if end > maxLine {
		return false
	}
	if end < len(b) {
		var m Message
		return startLine(line, &m)
	}
	const answer = "sip/2.0"
	first, _ := word(line)
	return isToken(first) && len(first) <= maxMethod || len(first) <= len(answer) && equalFold(first, answer[:len(first)])
}
