package forgery

import (
	"bytes"
	"strings"

	"freeswitch-security/sources/logfile/record"
)

// In a log without forgeries every judgement is wasted. So the common case is
// recognised first, by the texts of the stamps alone: they stand at the same place
// in all lines of a kind, and the order of their bytes is that of time.

const stampLength = len("2026-05-04 10:11:12.131415")

// A quickLine is what is taken from a line without parsing it.
type quickLine struct {
	session bool   // it looks like a line of a session
	stamp   string // the bytes where a stamp stands; "" if there is none
	behind  string // the text behind the stamp
}

// idle returns the text between the stamp and the level.
func (q *quickLine) idle() string {
	return q.behind[:max(0, strings.IndexByte(q.behind[:min(len(q.behind), 8)], '['))]
}

// uuidLength is the length of a session's UUID with its blank.
const uuidLength = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx ")

func quick(line string) (q quickLine) {
	if record.LooksLikeSession(line) {
		q.session = true
		line = line[uuidLength:]
	}
	if len(line) > stampLength+1 && line[19] == '.' && line[4] == '-' && record.IsDigit(line[0]) {
		q.stamp, q.behind = line[:stampLength], line[stampLength+1:]
	}
	return q
}

// fits reports whether a line is certainly in the order of the stamps around it and
// agrees with their idle times. If it returns false, the line must be judged.
func (d *Detector) fits(c *LineContext) bool {
	own := quick(c.Line)
	if own.stamp == "" {
		return false
	}
	last, ok := d.quickBefore(c, &own)
	return ok && d.quickBehind(c, &own, &last)
}

// quickBefore returns the last line of another session before. It fails if a line
// is stamped later.
func (d *Detector) quickBefore(c *LineContext, own *quickLine) (last quickLine, ok bool) {
	start := max(0, len(c.Before)-d.Piece)
	if start > 0 && c.Before[start-1] != '\n' {
		start += bytes.IndexByte(c.Before[start:], '\n') + 1
	}
	lastLine := ""
	for rest := c.Before[start:]; len(rest) > 0; {
		var line string
		line, rest = d.Cut(rest)
		q := quick(line)
		switch {
		case len(line) > d.MaxLine, q.stamp > own.stamp, !q.session && isCarrier(line):
			return last, false
		case q.session && q.stamp != "" && !(own.session && line[:uuidLength-1] == c.Line[:uuidLength-1]):
			last, lastLine = q, line
		}
	}
	return last, record.UUIDLength(lastLine) > 0
}

// quickBehind reports whether the lines behind agree. None of them may be stamped
// earlier, or have the idle time of the last line before if the judged line does not.
// Up to the first line of a session (or, if that has no stamp, the next one of the
// same session) none may be stamped later than that line.
func (d *Detector) quickBehind(c *LineContext, own, last *quickLine) bool {
	session, latest, settled := "", "", false
	if own.session {
		session = c.Line[:uuidLength-1]
	}
	reach := min(len(c.Behind), d.Behind())
	for rest := c.Behind[:reach]; ; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return len(c.Behind) >= d.Behind() // what is further behind does not count
		}
		line := d.Line(rest[:end])
		at := len(rest)
		rest = rest[end+1:]
		q := quick(line)
		if len(line) > d.MaxLine || q.stamp != "" && (q.stamp < own.stamp || q.idle() == last.idle() && q.idle() != own.idle()) {
			return false
		}
		if settled = settled || reach-at > d.Piece; settled {
			continue
		}
		switch {
		case !q.session && isCarrier(line):
			return false
		case session != "" && !(q.session && line[:uuidLength-1] == session):
		case !q.session:
			latest = max(latest, q.stamp)
		case q.stamp == "":
			session = line[:uuidLength-1]
		case q.stamp < latest:
			return false
		default:
			if _, ok := record.ParseHeader(line); !ok || record.UUIDLength(line) == 0 {
				return false
			}
			settled = true
		}
	}
}
