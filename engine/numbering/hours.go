package numbering

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// DefaultHours are the hours of a site that states none.
const DefaultHours = "Mon-Sun 06:00-22:00"

// Hours are times of the week. The zero value has none.
type Hours []span

// A span is a time of the week in minutes since Sunday, 00:00. It may end in the next week.
type span struct{ from, to int }

// Minutes of a day and a week.
const (
	day  = 24 * 60
	week = 7 * day
)

// errHours says what hours look like.
var errHours = errors.New(`write days and times of 24 hours, such as "Mon-Fri 07:00-19:00, Sat 09:00-13:00"`)

// maxSpans bounds the text of hours.
const maxSpans = 32

// ParseHours reads "Mon-Fri 07:00-19:00, Sat 09:00-13:00". A time that ends before it begins, or at the
// same time, ends on the next day; a day that ends before it begins ends in the next week.
func ParseHours(text string) (Hours, error) {
	var hours Hours
	parts := strings.Split(text, ",")
	if len(parts) > maxSpans {
		return nil, fmt.Errorf("hours have at most %d parts", maxSpans)
	}
	for _, part := range parts {
		days, times, ok := strings.Cut(strings.TrimSpace(part), " ")
		first, last, several := strings.Cut(days, "-")
		from, to, until := strings.Cut(strings.TrimSpace(times), "-")
		if !ok || !until {
			return nil, fmt.Errorf("%q has no days or no times: %w", event.Bound(part, 64), errHours)
		}
		if !several {
			last = first
		}
		a, err1 := weekday(first)
		b, err2 := weekday(last)
		start, err3 := clock(from)
		end, err4 := clock(to)
		if err := cmp.Or(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		if end <= start {
			end += day
		}
		for d := a; ; d = (d + 1) % 7 {
			hours = append(hours, span{d*day + start, d*day + end})
			if d == b {
				break
			}
		}
	}
	return hours, nil
}

// weekday reads "Mon", in capitals or not.
func weekday(text string) (int, error) {
	i := slices.IndexFunc(event.Weekdays, func(name string) bool { return strings.EqualFold(name, text) })
	if i < 0 {
		return 0, fmt.Errorf("%q is none of %s: %w", event.Bound(text, 16), strings.Join(event.Weekdays, ", "), errHours)
	}
	return i, nil
}

// clock reads "07:00" as minutes. "24:00" is the end of a day.
func clock(text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || len(m) != 2 || errors.Join(err1, err2) != nil || minute > 59 || hour*60+minute > day {
		return 0, fmt.Errorf("%q is no time: %w", event.Bound(text, 16), errHours)
	}
	return int(hour*60 + minute), nil
}

// contain reports whether a minute of the week is in one of the spans.
func (h Hours) contain(minute int) bool {
	return slices.ContainsFunc(h, func(s span) bool {
		return s.from <= minute && minute < s.to || minute+week < s.to
	})
}

// ParseMoment reads "Tue 03:00" as the time since Sunday, 00:00.
func ParseMoment(text string) (time.Duration, error) {
	name, at, _ := strings.Cut(text, " ")
	d, err1 := weekday(name)
	minute, err2 := clock(strings.TrimSpace(at))
	return time.Duration(d*day+minute) * time.Minute, cmp.Or(err1, err2)
}

// TestStart is when the tests of rules begin: on a Monday at noon in the site's zone, or in UTC without
// a plan.
func (p *Plan) TestStart() time.Time {
	zone := time.UTC
	if p != nil {
		zone = p.zone
	}
	return time.Date(2026, 1, 5, 12, 0, 0, 0, zone)
}

// SinceTestStart returns the time from [Plan.TestStart] to the first such time of the week.
func SinceTestStart(moment time.Duration) time.Duration {
	const start = (day + day/2) * time.Minute // Monday, 12:00
	return (moment - start + week*time.Minute) % (week * time.Minute)
}

// At returns hour, weekday and night of a moment in the site's zone. What its clocks show decides:
// on the days on which they are set, an hour is missing or there twice.
func (p *Plan) At(t time.Time) (hour int, weekday string, night bool) {
	t = t.In(p.zone)
	hour = t.Hour()
	return hour, event.Weekdays[t.Weekday()], !p.hours.contain(int(t.Weekday())*day + hour*60 + t.Minute())
}
