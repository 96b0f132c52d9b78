package record

import (
	"regexp"
	"strconv"
)

// prefix is what syslog and the journal write in front of a line:
//
//	2026-05-04T10:11:12.131415+02:00 pbx1 freeswitch[4711]: …
//	2026-05-04 10:11:12.131415 pbx1 freeswitch[4711]: …
//	May  4 10:11:12 pbx1 freeswitch[4711]: …
//
// Its groups are the date, the time, the zone, and the sign, hours and minutes of the
// zone. The classic form has neither year nor zone.
var prefix = regexp.MustCompile(`^(?:(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|([+-])([01]\d|2[0-3]):?([0-5]\d))?|` +
	`(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d) [^\x00-\x20]+ [\w./-]+(?:\[\d*\])?: `)

// parsePrefix returns the time of a line's prefix, which counts only if it has a zone,
// and the prefix's length, 0 if there is none.
func parsePrefix(s string) (t Stamp, length int) {
	if !(byteAt(s, 7, '-') && s[4] == '-' || byteAt(s, 6, ' ') && s[3] == ' ') {
		return Stamp{}, 0 // the usual case, without the cost of the expression
	}
	m := prefix.FindStringSubmatch(s)
	if m == nil {
		return Stamp{}, 0
	}
	if m[1] != "" {
		if _, ok := t.parse(m[1]+" "+m[2], 0); !ok {
			return Stamp{}, 0
		}
	}
	t.Zoned = m[3] != ""
	hours, _ := strconv.Atoi(m[5]) // empty without an offset
	minutes, _ := strconv.Atoi(m[6])
	t.offset = hours*3600 + minutes*60
	if m[4] == "-" {
		t.offset = -t.offset
	}
	return t, len(m[0])
}

// HasPrefix reports whether a line has the prefix of syslog or the journal.
func HasPrefix(line string) bool {
	_, length := parsePrefix(line)
	return length > 0
}
