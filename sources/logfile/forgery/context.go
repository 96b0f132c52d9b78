package forgery

import (
	"bytes"

	"freeswitch-security/sources/logfile/record"
)

// PieceLength bounds what FreeSWITCH writes at once of a session's message, in
// bytes: the UUID and the text behind it. What an attacker adds by line breaks in
// its own text is in the same piece.
const PieceLength = 2048

// How far around a line the detector looks, in pieces. A line of an attacker begins
// at most one piece behind the true line that carries it; the INVITE of that session
// is usually in the pieces before. A session that goes on for more than a piece
// undisturbed is one of FreeSWITCH's.
const (
	piecesBefore = 8
	piecesBehind = 3
)

// Before and Behind return how much of the log around a line a judgement needs, in
// bytes. The byte before the lines tells whether a line begins there.
func (d *Detector) Before() int { return piecesBefore*d.Piece + 1 }
func (d *Detector) Behind() int { return piecesBehind * d.Piece }

// A LineContext is a line and the log around it, as far as there is any within
// [Detector.Before] and [Detector.Behind].
type LineContext struct {
	Before []byte // up to the line
	Line   string
	Length int    // of the line with its line break
	Behind []byte // from the next line on
}

// A neighbour is a whole line near another one.
type neighbour struct {
	at   int // where it begins, in bytes from the beginning of the other one
	line string
	uuid string // of the session that wrote it; "" if none did
}

func newNeighbour(at int, line string) neighbour {
	return neighbour{at, line, record.UUID(line)}
}

// linesBefore appends the whole lines that begin at most limit bytes before a line,
// the nearest one last. It stops at a line that is too long.
func (d *Detector) linesBefore(before []byte, limit int, lines []neighbour) []neighbour {
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
		line, rest = d.Cut(rest)
		if d.TooLong(line) {
			lines = lines[:first]
			continue
		}
		lines = append(lines, newNeighbour(at, line))
	}
	return lines
}

// farBefore returns the lines that begin at most so many pieces before a line. They
// are valid until the next call.
func (d *Detector) farBefore(c *LineContext, pieces int) []neighbour {
	d.far = d.linesBefore(c.Before, pieces*d.Piece, d.far[:0])
	return d.far
}

// linesBehind calls f with the lines that end at most limit bytes behind a line,
// until f returns false. It stops at a line that is too long. ended tells that the
// input ended before the limit, so that more of it may change the result.
func (d *Detector) linesBehind(c *LineContext, limit int, f func(neighbour) bool) (ended bool) {
	for rest := c.Behind; ; {
		at := len(c.Behind) - len(rest)
		end := bytes.IndexByte(rest, '\n')
		if at+end+1 > limit {
			return false
		}
		if end < 0 {
			return len(rest) <= limit-at && len(rest) <= d.MaxLine
		}
		line := d.Line(rest[:end])
		if d.TooLong(line) || !f(newNeighbour(c.Length+at, line)) {
			return false
		}
		rest = rest[end+1:]
	}
}
