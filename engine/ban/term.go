package ban

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/regex"
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
	if err != nil {
		return 0, fmt.Errorf(`%w, or "permanent"`, err)
	}
	return Term(d), nil
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

const day = 24 * time.Hour

// MaxDuration bounds every duration in a rule file, so that no sum of a time and
// a duration can overflow: some 100 years.
const MaxDuration = 36525 * day

// longUnits are the units that [time.ParseDuration] does not read.
var longUnits = []struct {
	name   string
	length time.Duration
}{{"w", 7 * day}, {"d", day}}

// inWords is a duration with the unit as a word: "10min", "2 hours".
var inWords = regex.New(`(?i)^([0-9]+) ?([smhdw])(?:ecs?|econds?|ins?|inutes?|rs?|ours?|ays?|eeks?)$`)

// ParseDuration reads a positive duration as [time.ParseDuration] does, after weeks and
// days: "90s", "1h30m", "7d", "2w", "1d12h". Days have 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	bad := func() (time.Duration, error) {
		if m := inWords.Use().FindStringSubmatch(s); m != nil {
			return 0, fmt.Errorf("%q is not a duration: write %q", s, m[1]+strings.ToLower(m[2]))
		}
		return 0, fmt.Errorf("%q is not a duration: write a number and a unit, such as \"90s\", \"10m\", \"2h\", \"7d\" or \"1w\"", s)
	}
	if s == "" || strings.ContainsAny(s, "+-") {
		return bad()
	}
	var long float64
	rest := s
	for _, unit := range longUnits {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || strings.Trim(number, "0123456789.") != "" {
			return bad()
		}
		long += n * float64(unit.length)
		rest = after
	}
	short, err := time.ParseDuration(cmp.Or(rest, "0s"))
	if err != nil {
		return bad()
	}
	if long > float64(MaxDuration) || short > MaxDuration-time.Duration(long) {
		return 0, fmt.Errorf("%q is too long: %s at the most", s, FormatDuration(MaxDuration))
	}
	total := time.Duration(long) + short
	if total == 0 {
		return 0, errors.New("a duration must be longer than zero")
	}
	return total, nil
}

// FormatDuration writes d in days and the units of [time.Duration.String], without those
// that are zero at the end: "1h30m", "7d". Weeks are written in days, as operators count
// them.
func FormatDuration(d time.Duration) string {
	text := (d % day).String()
	if days := d / day; days != 0 {
		text = fmt.Sprintf("%dd%s", days, strings.TrimPrefix(text, "-"))
	}
	for _, zero := range []string{"m0s", "h0m", "d0s"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
