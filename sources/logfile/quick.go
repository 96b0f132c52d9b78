package logfile

import (
	"bytes"
	"strings"
)

// In a log that nobody wrote into, every event is judged for nothing. So the common
// case is told first, from the texts of the stamps alone: they stand at the same
// place in all lines of a kind, and are in the order of time if they are in that
// of their bytes.

const stampLength = len("2026-05-04 10:11:12.131415")

// A quickLine is what is taken of a line without parsing it.
type quickLine struct {
	session bool   // it looks like a session's
	stamp   string // or what stands there; "" if there is no room for one
	behind  string // what stands behind the stamp
}

// idle is what stands between the stamp and the level.
func (q *quickLine) idle() string {
	return q.behind[:max(0, strings.IndexByte(q.behind[:min(len(q.behind), 8)], '['))]
}

func quick(line string) (q quickLine) {
	const uuid = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx ")
	if len(line) >= uuid && line[36] == ' ' && line[8] == '-' && line[13] == '-' && line[18] == '-' && line[23] == '-' {
		q.session = true
		line = line[uuid:]
	}
	if len(line) > stampLength+1 && line[19] == '.' && line[4] == '-' && isDigit(line[0]) {
		q.stamp, q.behind = line[:stampLength], line[stampLength+1:]
	}
	return q
}

// fits reports whether a line is certainly in the order of the stamps around it
// and of their idle times. If it does not say so, that must be looked at more
// closely.
func (d *decoder) fits(v *vicinity) bool {
	own := quick(v.line)
	if own.stamp == "" {
		return false
	}
	last, ok := d.quickBefore(v, &own)
	return ok && d.quickBehind(v, &own, &last)
}

// quickBefore gives the last line of another session before, if none is stamped
// later.
func (d *decoder) quickBefore(v *vicinity, own *quickLine) (last quickLine, ok bool) {
	start := max(0, len(v.before)-d.piece)
	if start > 0 && v.before[start-1] != '\n' {
		start += bytes.IndexByte(v.before[start:], '\n') + 1
	}
	lastLine := ""
	for rest := v.before[start:]; len(rest) > 0; {
		var line string
		line, rest = d.cut(rest)
		q := quick(line)
		switch {
		case len(line) > d.maxLine, q.stamp > own.stamp, !q.session && isCarrier(line):
			return last, false
		case q.session && q.stamp != "" && !(own.session && line[:36] == v.line[:36]):
			last, lastLine = q, line
		}
	}
	return last, uuidLength(lastLine) > 0
}

// quickBehind reports whether none of the lines behind, as far as they are looked at,
// is stamped earlier or tells the idle time that only the last line before tells; nor,
// up to the first line of a session or if that has no stamp the next one of the same
// session, one stamped later than that line.
func (d *decoder) quickBehind(v *vicinity, own, last *quickLine) bool {
	session, latest, settled := "", "", false
	if own.session {
		session = v.line[:36]
	}
	for rest := v.behind[:min(len(v.behind), d.behind())]; ; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return len(v.behind) >= d.behind() // what is further behind is not looked at
		}
		line := d.line(rest[:end])
		at := len(rest)
		rest = rest[end+1:]
		q := quick(line)
		if len(line) > d.maxLine || q.stamp != "" && (q.stamp < own.stamp || q.idle() == last.idle() && q.idle() != own.idle()) {
			return false
		}
		if settled = settled || min(len(v.behind), d.behind())-at > d.piece; settled {
			continue
		}
		switch {
		case !q.session && isCarrier(line):
			return false
		case session != "" && !(q.session && line[:36] == session):
		case !q.session:
			latest = max(latest, q.stamp)
		case q.stamp == "":
			session = line[:36]
		case q.stamp < latest:
			return false
		default:
			if _, ok := parseHeader(line); !ok || uuidLength(line) == 0 {
				return false
			}
			settled = true
		}
	}
}
