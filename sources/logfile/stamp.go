package logfile

import (
	"strings"
	"time"
)

// A stamp is a date and a time of day as they stand in a line.
type stamp struct {
	year   int // 0: the line tells none
	month  time.Month
	day    int
	hour   int
	minute int
	second int
	micro  int
	offset int  // seconds east of UTC
	zoned  bool // the line tells the offset; otherwise the time is the server's
}

// parse reads "2026-05-04 10:11:12.131415" or, without a year, "05-04 10:11:12"
// and says where it ends.
func (t *stamp) parse(s string, i int) (next int, ok bool) {
	if t.year, ok = digits(s, i, 4); ok {
		if !byteAt(s, i+4, '-') || t.year == 0 {
			return 0, false
		}
		i += 5
	}
	month, ok1 := digits(s, i, 2)
	day, ok2 := digits(s, i+3, 2)
	if !ok1 || !ok2 || s[i+2] != '-' || !byteAt(s, i+5, ' ') {
		return 0, false
	}
	t.month, t.day = time.Month(month), day
	i, ok = t.parseClock(s, i+6)
	return i, ok && t.valid()
}

// parseClock reads "10:11:12" with an optional fraction of up to nine digits,
// of which microseconds are kept.
func (t *stamp) parseClock(s string, i int) (next int, ok bool) {
	var ok1, ok2, ok3 bool
	t.hour, ok1 = digits(s, i, 2)
	t.minute, ok2 = digits(s, i+3, 2)
	t.second, ok3 = digits(s, i+6, 2)
	if !ok1 || !ok2 || !ok3 || s[i+2] != ':' || s[i+5] != ':' {
		return 0, false
	}
	i += 8
	if !byteAt(s, i, '.') {
		return i, true
	}
	i++
	first, unit := i, 100_000
	for ; i < len(s) && isDigit(s[i]) && i-first < 9; i++ {
		t.micro += int(s[i]-'0') * unit
		unit /= 10
	}
	return i, i > first
}

// digits reads exactly n digits.
func digits(s string, i, n int) (value int, ok bool) {
	if i+n > len(s) {
		return 0, false
	}
	for _, b := range []byte(s[i : i+n]) {
		if !isDigit(b) {
			return 0, false
		}
		value = value*10 + int(b-'0')
	}
	return value, true
}

// valid reports whether there is such a date and time. Where the year is not
// told, 29 February is one.
func (t *stamp) valid() bool {
	if t.month < 1 || t.month > 12 || t.day < 1 || t.hour > 23 || t.minute > 59 || t.second > 59 {
		return false
	}
	year := t.year
	if year == 0 {
		year = 2000
	}
	return t.day <= daysIn(t.month, year)
}

func daysIn(month time.Month, year int) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// parsePrefix reads what syslog and the journal put in front of a line:
//
//	2026-05-04T10:11:12.131415+02:00 pbx1 freeswitch[4711]: …
//	2026-05-04 10:11:12.131415 pbx1 freeswitch[4711]: …
//	May  4 10:11:12 pbx1 freeswitch[4711]: …
//
// It gives the prefix's time and its length, 0 if there is none. The classic
// form tells neither year nor zone; its time is left out.
func parsePrefix(s string) (t stamp, length int) {
	i, ok := t.parseRFC3339(s)
	if !ok {
		t = stamp{}
		if i, ok = classicLength(s); !ok {
			return stamp{}, 0
		}
	}
	host := i + 1
	i = host
	for i < len(s) && s[i] > ' ' && i-host < 256 {
		i++
	}
	if i == host || !byteAt(s, i, ' ') {
		return stamp{}, 0
	}
	tag := i + 1
	i = tag
	for i < len(s) && (isWord(s[i]) || s[i] == '-' || s[i] == '.' || s[i] == '/') && i-tag < 64 {
		i++
	}
	if i == tag {
		return stamp{}, 0
	}
	if byteAt(s, i, '[') {
		for i++; i < len(s) && isDigit(s[i]); i++ {
		}
		if !byteAt(s, i, ']') {
			return stamp{}, 0
		}
		i++
	}
	if !strings.HasPrefix(s[min(i, len(s)):], ": ") {
		return stamp{}, 0
	}
	return t, i + 2
}

// parseRFC3339 reads "2026-05-04T10:11:12.131415+02:00", with a blank for the T, and
// Z or +0200 for the zone, or none; a space must follow.
func (t *stamp) parseRFC3339(s string) (next int, ok bool) {
	if !byteAt(s, 10, 'T') && !byteAt(s, 10, ' ') || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	month, day := 0, 0
	for _, part := range []struct {
		value *int
		at, n int
	}{{&t.year, 0, 4}, {&month, 5, 2}, {&day, 8, 2}} {
		if *part.value, ok = digits(s, part.at, part.n); !ok {
			return 0, false
		}
	}
	t.month, t.day = time.Month(month), day
	i, ok := t.parseClock(s, 11)
	if !ok || !t.valid() || t.year == 0 || i >= len(s) {
		return 0, false
	}
	switch sign := s[i]; sign {
	case 'Z':
		t.zoned = true
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
		t.zoned, t.offset = true, hours*3600+minutes*60
		if sign == '-' {
			t.offset = -t.offset
		}
	}
	return i, byteAt(s, i, ' ')
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// classicLength is the length of "May  4 10:11:12".
func classicLength(s string) (length int, ok bool) {
	length = len("May  4 10:11:12")
	if !byteAt(s, length, ' ') || s[3] != ' ' || s[6] != ' ' {
		return 0, false
	}
	if month := strings.Index(monthNames, s[:3]); month < 0 || month%3 != 0 {
		return 0, false
	}
	if !isDigit(s[5]) || s[4] != ' ' && !isDigit(s[4]) {
		return 0, false
	}
	var t stamp
	end, ok := t.parseClock(s, 7)
	return length, ok && end == length && t.hour < 24 && t.minute < 60 && t.second < 61
}
