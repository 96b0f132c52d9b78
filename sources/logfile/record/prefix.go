package record

import (
	"strings"
	"time"
)

// parsePrefix reads what syslog and the journal write in front of a line:
//
//	2026-05-04T10:11:12.131415+02:00 pbx1 freeswitch[4711]: …
//	2026-05-04 10:11:12.131415 pbx1 freeswitch[4711]: …
//	May  4 10:11:12 pbx1 freeswitch[4711]: …
//
// It returns the prefix's time and its length, 0 if there is none. The classic form
// has neither year nor zone, so its time is ignored.
func parsePrefix(s string) (t Stamp, length int) {
	i, ok := t.parseRFC3339(s)
	if !ok {
		t = Stamp{}
		if i, ok = classicLength(s); !ok {
			return Stamp{}, 0
		}
	}
	host := i + 1
	i = host
	for i < len(s) && s[i] > ' ' && i-host < 256 {
		i++
	}
	if i == host || !byteAt(s, i, ' ') {
		return Stamp{}, 0
	}
	tag := i + 1
	i = tag
	for i < len(s) && (IsWord(s[i]) || s[i] == '-' || s[i] == '.' || s[i] == '/') && i-tag < 64 {
		i++
	}
	if i == tag {
		return Stamp{}, 0
	}
	if byteAt(s, i, '[') {
		for i++; i < len(s) && IsDigit(s[i]); i++ {
		}
		if !byteAt(s, i, ']') {
			return Stamp{}, 0
		}
		i++
	}
	if !strings.HasPrefix(s[min(i, len(s)):], ": ") {
		return Stamp{}, 0
	}
	return t, i + 2
}

// HasPrefix reports whether a line has the prefix of syslog or the journal.
func HasPrefix(line string) bool {
	_, length := parsePrefix(line)
	return length > 0
}

// parseRFC3339 reads "2026-05-04T10:11:12.131415+02:00". The T may be a blank, the
// zone Z, +0200 or missing. A blank must follow.
func (t *Stamp) parseRFC3339(s string) (next int, ok bool) {
	if !byteAt(s, 10, 'T') && !byteAt(s, 10, ' ') || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, ok1 := digits(s, 0, 4)
	month, ok2 := digits(s, 5, 2)
	day, ok3 := digits(s, 8, 2)
	t.Year, t.month, t.day = year, time.Month(month), day
	i, ok := t.parseClock(s, 11)
	if !ok1 || !ok2 || !ok3 || !ok || !t.valid() || t.Year == 0 || i >= len(s) {
		return 0, false
	}
	switch sign := s[i]; sign {
	case 'Z':
		t.Zoned = true
		i++
	case '+', '-':
		hours, ok1 := digits(s, i+1, 2)
		i += 3
		if byteAt(s, i, ':') {
			i++
		}
		minutes, ok2 := digits(s, i, 2)
		if !ok1 || !ok2 || hours > 23 || minutes > 59 {
			return 0, false
		}
		i += 2
		t.Zoned, t.offset = true, hours*3600+minutes*60
		if sign == '-' {
			t.offset = -t.offset
		}
	}
	return i, byteAt(s, i, ' ')
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// classicLength returns the length of "May  4 10:11:12".
func classicLength(s string) (length int, ok bool) {
	length = len("May  4 10:11:12")
	if !byteAt(s, length, ' ') || s[3] != ' ' || s[6] != ' ' {
		return 0, false
	}
	if month := strings.Index(monthNames, s[:3]); month < 0 || month%3 != 0 {
		return 0, false
	}
	if !IsDigit(s[5]) || s[4] != ' ' && !IsDigit(s[4]) {
		return 0, false
	}
	var t Stamp
	end, ok := t.parseClock(s, 7)
	return length, ok && end == length && t.hour < 24 && t.minute < 60 && t.second < 61
}
