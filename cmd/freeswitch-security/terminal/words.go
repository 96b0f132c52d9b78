package terminal

import (
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

// Count writes a number of things: "1 rule", "2 rules", "2 addresses".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "s") {
		thing += "e"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// About writes a duration for people, in its two largest units: "3d4h", "42s".
func About(d time.Duration) string {
	d = max(d, 0)
	unit := time.Second
	switch {
	case d >= 7*24*time.Hour:
		unit = 24 * time.Hour
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	return ban.FormatDuration(d.Truncate(unit))
}

// Ago writes how long ago a time was; the zero time is never.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return About(now.Sub(t)) + " ago"
}

// Until writes when something ends; the zero time is never.
func Until(t, now time.Time) string {
	if t.IsZero() {
		return "permanent"
	}
	return "in " + About(t.Sub(now))
}
