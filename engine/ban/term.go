package ban

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Term is the length of a ban. Terms compare by length; Permanent is the longest.
type Term time.Duration

// Permanent is the term of a ban that never expires.
const Permanent Term = math.MaxInt64

// ParseTerm reads a positive duration as [ParseDuration] does, or "permanent".
func ParseTerm(s string) (Term, error) {
	if s == "permanent" {
		return Permanent, nil
	}
	d, err := ParseDuration(s)
	return Term(d), err
}

// String gives the form that ParseTerm reads: "10m", "7d", "permanent".
func (t Term) String() string {
	if t == Permanent {
		return "permanent"
	}
	return FormatDuration(time.Duration(t))
}

// MarshalText returns the form that ParseTerm reads.
func (t Term) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the form that ParseTerm reads.
func (t *Term) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTerm(string(text))
	return err
}

// End returns the end of a ban of this term that starts at start; the zero time: never.
func (t Term) End(start time.Time) time.Time {
	if t == Permanent {
		return time.Time{}
	}
	return start.Add(time.Duration(t))
}

// MaxDuration bounds every duration in a rule file, so that no sum of a time and
// a duration can overflow: some 100 years.
const MaxDuration = 36525 * 24 * time.Hour

// units are the units of a duration, longest first.
var units = []struct {
	name   string
	length time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute},
	{"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond},
}

// ParseDuration reads a positive duration as Go writes it, with days and weeks
// beside the smaller units: "90s", "1h30m", "7d", "2w". Days have 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	bad := func() (time.Duration, error) {
		return 0, fmt.Errorf("%q is not a duration: write a number and a unit, such as \"90s\", \"10m\", \"2h\", \"7d\" or \"1w\"", s)
	}
	var total time.Duration
	rest := s
	for rest != "" {
		digits := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if digits <= 0 {
			return bad()
		}
		number, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return bad()
		}
		rest = rest[digits:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		if end < 0 {
			end = len(rest)
		}
		unit, ok := unitLength(rest[:end])
		if !ok {
			return bad()
		}
		rest = rest[end:]
		if part := number * float64(unit); part > float64(MaxDuration-total) {
			return 0, fmt.Errorf("%q is too long: %s at the most", s, FormatDuration(MaxDuration))
		}
		total += time.Duration(number * float64(unit))
	}
	switch {
	case s == "":
		return bad()
	case total <= 0:
		return 0, errors.New("a duration must be longer than zero")
	}
	return total, nil
}

func unitLength(name string) (time.Duration, bool) {
	for _, u := range units {
		if u.name == name {
			return u.length, true
		}
	}
	return 0, false
}

// FormatDuration writes d in the largest units that divide it: "1h30m", "7d".
// Weeks are written in days, as operators count them.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		d = -d
	}
	for _, u := range units[1:] {
		if n := d / u.length; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteString(u.name)
			d -= n * u.length
		}
	}
	return b.String()
}
