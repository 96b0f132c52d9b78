package numbering

import (
	"testing"
	"time"
)

// TestHours asks for hour, weekday and night of moments around the days on which clocks are set, at which
// hours begin and end, and in zones that are days apart.
func TestHours(t *testing.T) {
	for _, c := range []struct {
		zone, hours, moment string // the moment is in UTC
		hour                int
		weekday             string
		night               bool
	}{
		{"UTC", "", "2026-11-30T05:59:59Z", 5, "Mon", true},
		{"UTC", "", "2026-11-30T06:00:00Z", 6, "Mon", false},
		{"UTC", "", "2026-11-29T21:59:59Z", 21, "Sun", false},
		{"UTC", "", "2026-11-29T22:00:00Z", 22, "Sun", true},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00, Sat 09:00-13:00", "2026-11-30T05:59:59Z", 6, "Mon", true},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00, Sat 09:00-13:00", "2026-11-30T06:00:00Z", 7, "Mon", false},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00, Sat 09:00-13:00", "2026-12-04T18:00:00Z", 19, "Fri", true},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00, Sat 09:00-13:00", "2026-12-05T11:59:00Z", 12, "Sat", false},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00, Sat 09:00-13:00", "2026-12-06T11:00:00Z", 12, "Sun", true},
		// Summer time began on 29 March 2026 at 01:00 UTC, and ended on 25 October.
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-03-29T00:59:59Z", 1, "Sun", true},
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-03-29T01:00:00Z", 3, "Sun", false},
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-03-29T01:30:00Z", 3, "Sun", true},
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-10-25T00:30:00Z", 2, "Sun", false},
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-10-25T01:00:00Z", 2, "Sun", true},
		{"Europe/Berlin", "Sun 02:30-03:30", "2026-10-25T01:30:00Z", 2, "Sun", false},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00", "2026-07-01T05:00:00Z", 7, "Wed", false},
		{"Europe/Berlin", "Mon-Fri 07:00-19:00", "2026-12-02T05:00:00Z", 6, "Wed", true},
		// In Sydney summer time began on 4 October 2026 at 16:00 UTC of the day before.
		{"Australia/Sydney", "Mon-Fri 08:00-18:00", "2026-10-01T22:00:00Z", 8, "Fri", false},
		{"Australia/Sydney", "Mon-Fri 08:00-18:00", "2026-10-04T21:00:00Z", 8, "Mon", false},
		{"Australia/Sydney", "Mon-Fri 08:00-18:00", "2026-10-04T20:59:00Z", 7, "Mon", true},
		{"America/New_York", "Sun 00:00-24:00", "2026-11-02T04:59:59Z", 23, "Sun", false},
		{"America/New_York", "Sun 00:00-24:00", "2026-11-02T05:00:00Z", 0, "Mon", true},
		{"Asia/Kolkata", "Mon-Sat 09:30-18:30", "2026-11-30T04:00:00Z", 9, "Mon", false},
		{"Asia/Kolkata", "Mon-Sat 09:30-18:30", "2026-11-30T03:59:00Z", 9, "Mon", true},
		// Over midnight, and over the end of the week.
		{"UTC", "Fri-Sat 20:00-04:00", "2026-12-05T03:59:00Z", 3, "Sat", false},
		{"UTC", "Fri-Sat 20:00-04:00", "2026-12-06T03:59:00Z", 3, "Sun", false},
		{"UTC", "Fri-Sat 20:00-04:00", "2026-12-06T04:00:00Z", 4, "Sun", true},
		{"UTC", "Fri-Sat 20:00-04:00", "2026-12-04T03:00:00Z", 3, "Fri", true},
		{"UTC", "Sat-Mon 10:00-11:00", "2026-12-06T10:30:00Z", 10, "Sun", false},
		{"UTC", "Sat-Mon 10:00-11:00", "2026-12-01T10:30:00Z", 10, "Tue", true},
		{"UTC", "mon-sun 00:00-00:00", "2026-12-01T00:00:00Z", 0, "Tue", false},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		site := Site{Zone: zone}
		if c.hours != "" {
			if site.Hours, err = ParseHours(c.hours); err != nil {
				t.Fatal(err)
			}
		}
		moment, err := time.Parse(time.RFC3339, c.moment)
		if err != nil {
			t.Fatal(err)
		}
		if hour, day, night := planOf(t, site).At(moment); hour != c.hour || day != c.weekday || night != c.night {
			t.Errorf("%s %q %s: got %d %s %t, want %d %s %t", c.zone, c.hours, c.moment, hour, day, night, c.hour, c.weekday, c.night)
		}
	}
}

func TestHoursMistakes(t *testing.T) {
	for _, bad := range []string{
		"", "Mon", "Mon-Fri", "07:00-19:00", "Mon-Fri 7-19", "Monday 07:00-19:00", "Mon-Fri 07:00", "Mon-Fri 25:00-26:00", "Mon 07:60-08:00",
		"Mon 07:00-24:01", "Mon 7:0-8:00", "Mon,Tue 07:00-19:00", "Mon-Fri 07:00-19:00,", "Mon -1:00-19:00", "Mon +7:00-19:00",
	} {
		if hours, err := ParseHours(bad); err == nil {
			t.Errorf("%q is %v", bad, hours)
		}
	}
}

func TestMoments(t *testing.T) {
	plan := planOf(t, Site{Zone: time.FixedZone("", 3600)})
	for text, want := range map[string]time.Duration{"Mon 12:00": 0, "Tue 03:00": 15 * time.Hour, "Mon 11:00": 6*24*time.Hour + 23*time.Hour, "Sun 00:00": 132 * time.Hour} {
		moment, err := ParseMoment(text)
		if got := SinceTestStart(moment); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
		hour, day, _ := plan.At(plan.TestStart().Add(want))
		if day != text[:3] || hour != int(text[4]-'0')*10+int(text[5]-'0') {
			t.Errorf("%s after the start it is %s, %d o'clock, want %s", want, day, hour, text)
		}
	}
	for _, bad := range []string{"", "Tue", "03:00", "Tue 3", "10m"} {
		if _, err := ParseMoment(bad); err == nil {
			t.Errorf("%q is a moment", bad)
		}
	}
}
