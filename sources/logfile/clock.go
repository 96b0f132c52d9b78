package logfile

import "time"

// skew is how far after the recording's last write a line without a year may
// lie: the clocks of two machines differ.
const skew = 24 * time.Hour

// A clock turns the stamps of one recording into times. It is not safe for use
// by several goroutines: it remembers the last hour that it looked up, because
// asking the zone's table for every line costs more than the rest of the line.
type clock struct {
	zone    *time.Location
	modTime time.Time // when the recording was last written to; zero: unknown

	hour  int64 // the hour that start is of, packed; 0: none yet
	start int64 // its first second, in Unix time
}

// needsYear reports whether a line with this stamp can only be dated by the year
// of a line before it.
func (c *clock) needsYear(t stamp) bool { return t.year == 0 && c.modTime.IsZero() }

// time gives the stamp as a time. Where it has no year, the year is the one that
// puts it nearest before the last write.
func (c *clock) time(t stamp) time.Time {
	if t.year == 0 {
		t.year = c.modTime.In(c.zone).Year() + 1
		limit := c.modTime.Add(skew)
		for t.day > daysIn(t.month, t.year) || c.date(t).After(limit) {
			t.year--
		}
	}
	return c.date(t)
}

func (c *clock) date(t stamp) time.Time {
	nanos := int64(t.micro) * int64(time.Microsecond)
	if t.zoned {
		unix := time.Date(t.year, t.month, t.day, t.hour, t.minute, t.second, 0, time.UTC).Unix()
		return time.Unix(unix-int64(t.offset), nanos).In(c.zone)
	}
	hour := ((int64(t.year)*16+int64(t.month))*32+int64(t.day))*32 + int64(t.hour)
	if hour != c.hour {
		first := time.Date(t.year, t.month, t.day, t.hour, 0, 0, 0, c.zone)
		last := time.Date(t.year, t.month, t.day, t.hour, 59, 59, 0, c.zone)
		if last.Sub(first) != time.Hour-time.Second {
			// The zone changes within this hour.
			return time.Date(t.year, t.month, t.day, t.hour, t.minute, t.second, int(nanos), c.zone)
		}
		c.hour, c.start = hour, first.Unix()
	}
	return time.Unix(c.start+int64(t.minute*60+t.second), nanos).In(c.zone)
}
