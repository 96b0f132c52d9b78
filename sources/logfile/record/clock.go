package record

import "time"

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
	hour := ((int64(t.Year)*16+int64(t.month))*32+int64(t.day))*32 + int64(t.hour)
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
