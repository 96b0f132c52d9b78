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

// parse reads "2026-05-04 10:11:12.131415", also with a T between date and time and with an
// offset, or, without a year, "05-04 10:11:12". It returns where the stamp ends. Of a
// fraction of at most nine digits it keeps microseconds.
func (t *Stamp) parse(s string, i int) (next int, ok bool) {
	if t.Year, ok = digits(s, i, 4); ok {
		if !byteAt(s, i+4, '-') || t.Year == 0 {
			return 0, false
		}
		i += 5
	}
	const form = "01-02 15:04:05"
	if len(s) < i+len(form) || s[i+2] != '-' || s[i+5] != ' ' && (s[i+5] != 'T' || t.Year == 0) || s[i+8] != ':' || s[i+11] != ':' {
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
	if byteAt(s, i, '.') {
		first, unit := i+1, 100_000
		for i = first; i < len(s) && IsDigit(s[i]) && i-first < 9; i++ {
			t.micro += int(s[i]-'0') * unit
			unit /= 10
		}
		if i == first {
			return 0, false
		}
	}
	return t.parseOffset(s, i)
}

// parseOffset reads the offset of a stamp that has a year: "Z", "+02:00" or "+0200".
func (t *Stamp) parseOffset(s string, i int) (next int, ok bool) {
	if i >= len(s) || s[i] == ' ' || t.Year == 0 {
		return i, true
	}
	if s[i] == 'Z' {
		t.Zoned = true
		return i + 1, true
	}
	if s[i] != '+' && s[i] != '-' {
		return i, true
	}
	hours, ok1 := digits(s, i+1, 2)
	colon := 0
	if byteAt(s, i+3, ':') {
		colon = 1
	}
	minutes, ok2 := digits(s, i+3+colon, 2)
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	t.Zoned, t.offset = true, hours*3600+minutes*60
	if s[i] == '-' {
		t.offset = -t.offset
	}
	return i + 5 + colon, true
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

// skew is how far after the log's last write a line without a year may lie, because
// the clocks of two machines differ.
const skew = 24 * time.Hour

// A Clock turns the stamps of one log into times. It is not safe for concurrent
// use: it caches the last hour, because a look at the zone's table for every line
// costs more than the rest of the line.
type Clock struct {
	Zone    *time.Location // of stamps without an offset
	ModTime time.Time      // when the log was last written to

	hour  int64 // the hour of start, packed; 0: none yet
	start int64 // its first second, in Unix time
}

// Time returns the stamp as a time. A stamp without a year gets the year that puts it
// nearest before the last write.
func (c *Clock) Time(t Stamp) time.Time {
	if t.Year == 0 {
		t.Year = c.ModTime.In(c.Zone).Year() + 1
		limit := c.ModTime.Add(skew)
		for t.day > daysIn(t.month, t.Year) || c.Date(t).After(limit) {
			t.Year--
		}
	}
	return c.Date(t)
}

// Date returns the time of a stamp that has a year.
func (c *Clock) Date(t Stamp) time.Time {
	nanos := int64(t.micro) * int64(time.Microsecond)
	if t.Zoned {
		unix := time.Date(t.Year, t.month, t.day, t.hour, t.minute, t.second, 0, time.UTC).Unix()
		return time.Unix(unix-int64(t.offset), nanos).In(c.Zone)
	}
	hour := t.packedHour()
	if hour != c.hour {
		first := time.Date(t.Year, t.month, t.day, t.hour, 0, 0, 0, c.Zone)
		last := time.Date(t.Year, t.month, t.day, t.hour, 59, 59, 0, c.Zone)
		if last.Sub(first) != time.Hour-time.Second {
			// The zone changes within this hour.
			return time.Date(t.Year, t.month, t.day, t.hour, t.minute, t.second, int(nanos), c.Zone)
		}
		c.hour, c.start = hour, first.Unix()
	}
	return time.Unix(c.start+int64(t.minute*60+t.second), nanos).In(c.Zone)
}

// packedHour returns the hour of a stamp as one number.
func (t *Stamp) packedHour() int64 {
	return ((int64(t.Year)*16+int64(t.month))*32+int64(t.day))*32 + int64(t.hour)
}

// IsEven reports that the zone's clocks run evenly through the hour of a stamp, so that later times
// of this hour have later texts. It reports false of a stamp without a year or with an offset.
func (c *Clock) IsEven(t Stamp) bool {
	if t.Year == 0 || t.Zoned {
		return false
	}
	c.Date(t)
	return c.hour == t.packedHour()
}

// Readings returns both moments at which the clocks of t's zone show what they show
// at t. It reports false outside of the hour that a zone repeats when its clocks are
// set back.
func Readings(t time.Time) (first, second time.Time, twice bool) {
	const far = 3 * time.Hour // farther than any zone is ever set back
	before, after := offset(t.Add(-far)), offset(t.Add(far))
	if before <= after {
		return t, t, false
	}
	wall := t.Add(offset(t))
	first, second = wall.Add(-before), wall.Add(-after)
	return first, second, offset(first) == before && offset(second) == after
}

// offset is how far the clocks of t's zone are ahead of UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// ZonedLayout is the form of a stamp with its offset, for time.Format.
const ZonedLayout = "2006-01-02 15:04:05.000000Z07:00"

// apart is how far FreeSWITCH's time and that of a carrier may differ, beside whole
// quarters of an hour: then the zone of FreeSWITCH's stamp follows from them.
const apart = 2 * time.Minute

// OffsetAt returns the offset from UTC of a stamp that has none, by the time at which
// another program saw it. It reports false if the two do not fit.
func (t *Stamp) OffsetAt(seen time.Time) (offset time.Duration, ok bool) {
	ahead := time.Date(t.Year, t.month, t.day, t.hour, t.minute, t.second, t.micro*1000, time.UTC).Sub(seen)
	offset = ahead.Round(15 * time.Minute)
	return offset, t.Year != 0 && (ahead-offset).Abs() <= apart && offset.Abs() <= 14*time.Hour
}

// AppendZoned appends a line that has a header, with an offset behind its stamp.
func AppendZoned(dst []byte, line string, offset time.Duration) []byte {
	_, end := stampIn(line)
	zone := time.Unix(0, 0).In(time.FixedZone("", int(offset/time.Second)))
	return append(zone.AppendFormat(append(dst, line[:end]...), "Z07:00"), line[end:]...)
}

// AppendAt appends a line that has a header, with a time in place of its stamp.
func AppendAt(dst []byte, line string, at time.Time) []byte {
	start, end := stampIn(line)
	return append(at.UTC().AppendFormat(append(dst, line[:start]...), ZonedLayout), line[end:]...)
}

// stampIn returns where the stamp of a line stands that has a header.
func stampIn(line string) (start, end int) {
	start = UUIDLength(line)
	var t Stamp
	end, _ = t.parse(line, start)
	return start, end
}
