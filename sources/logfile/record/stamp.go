package record

import "time"

// A Stamp is a date and a time of day as a line shows them.
type Stamp struct {
	Year   int // 0: the line has none
	month  time.Month
	day    int
	hour   int
	minute int
	second int
	micro  int
	offset int  // seconds east of UTC
	Zoned  bool // the line has the offset; else the time is that of the server
}

// parse reads "2026-05-04 10:11:12.131415" or, without a year, "05-04 10:11:12". It
// returns where the stamp ends. Of a fraction of at most nine digits it keeps
// microseconds.
func (t *Stamp) parse(s string, i int) (next int, ok bool) {
	if t.Year, ok = digits(s, i, 4); ok {
		if !byteAt(s, i+4, '-') || t.Year == 0 {
			return 0, false
		}
		i += 5
	}
	const form = "01-02 15:04:05"
	if len(s) < i+len(form) || s[i+2] != '-' || s[i+5] != ' ' || s[i+8] != ':' || s[i+11] != ':' {
		return 0, false
	}
	month, ok1 := digits(s, i, 2)
	day, ok2 := digits(s, i+3, 2)
	hour, ok3 := digits(s, i+6, 2)
	minute, ok4 := digits(s, i+9, 2)
	second, ok5 := digits(s, i+12, 2)
	t.month, t.day, t.hour, t.minute, t.second = time.Month(month), day, hour, minute, second
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !t.valid() {
		return 0, false
	}
	i += len(form)
	if !byteAt(s, i, '.') {
		return i, true
	}
	first, unit := i+1, 100_000
	for i = first; i < len(s) && IsDigit(s[i]) && i-first < 9; i++ {
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
		if !IsDigit(b) {
			return 0, false
		}
		value = value*10 + int(b-'0')
	}
	return value, true
}

// valid reports whether the date and time exist. Without a year, 29 February does.
func (t *Stamp) valid() bool {
	return t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= daysIn(t.month, t.Year) &&
		t.hour <= 23 && t.minute <= 59 && t.second <= 59
}

func daysIn(month time.Month, year int) int {
	if month == time.February && (year%4 != 0 || year%100 == 0 && year%400 != 0) {
		return 28
	}
	return [...]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month]
}
