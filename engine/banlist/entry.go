package banlist

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// An Entry is one line or element of a list.
type Entry struct {
	Unit   string // "line" or "entry"
	Number int    // of the line, or of the element in its array or object; counted from 1

	Text    string // the target as the list writes it
	Target  ban.Target
	Term    ban.Term  // how long the ban lasts; 0: not said; below 0: it is over
	Expires time.Time // when the ban ends; zero: not said
	Reason  string    // printable and bounded; "": not said
	Author  string    // who ordered the ban, in a list of this program; "": not said
	Err     error     // why the entry cannot be used; nil if it can
}

// ErrNoBan is the error of a readable entry that asks for no ban, such as
// CrowdSec's captchas and simulations.
var ErrNoBan = errors.New("the entry asks for no ban")

// Place says where the entry stands: "line 7".
func (e *Entry) Place() string { return fmt.Sprintf("%s %d", e.Unit, e.Number) }

// The names of columns and members, in lower case and letters only. They are those of
// this program's own interface, of CrowdSec, and other usual ones. Of several names,
// the first that holds something wins.
var (
	targetNames = []string{"ip", "ipaddress", "address", "target", "network", "cidr", "value"}
	endNames    = []string{"expiresat", "expires", "until", "expiration", "expiry", "ttl", "duration", "for"}
	reasonNames = []string{"reason", "scenario", "comment", "description"}
)

// fieldName reduces a name to the form of these names.
func fieldName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// newEntry reads an entry. get returns what the list says under a name; "" is nothing.
func newEntry(unit string, number int, get func(name string) string) Entry {
	first := func(names []string) string {
		for _, name := range names {
			if text := get(name); text != "" {
				return text
			}
		}
		return ""
	}
	e := Entry{Unit: unit, Number: number, Text: first(targetNames), Reason: Printable(first(reasonNames))}
	if e.Target, e.Err = parseTarget(e.Text); e.Err == nil {
		e.Err = e.setEnd(first(endNames))
	}
	return e
}

// parseTarget reads a target. A single address is the common case and by far cheaper if
// tried first.
func parseTarget(s string) (ban.Target, error) {
	if strings.IndexByte(s, '/') < 0 {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return ban.Address(a.Unmap()), nil
		}
	}
	return ban.ParseTarget(s)
}

const (
	// epochal is the smallest number taken as seconds since 1970 rather than from
	// now: it is in the year 2001, or 31 years long.
	epochal = 1_000_000_000

	// lastSecond is the end of the year 9999, the last that has a text form.
	lastSecond = 253_402_300_799
)

// setEnd reads when an entry ends, in any of the forms that lists use: a duration, a
// number of seconds, a time, a number of seconds since 1970, or "permanent". An empty
// text and 0 say nothing.
func (e *Entry) setEnd(s string) error {
	if s == "" {
		return nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		e.Expires = t
		return nil
	}
	if t, err := ban.ParseTerm(s); err == nil {
		e.Term = t
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil { // negative, or in nanoseconds
		e.Term = ban.Term(d)
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(n >= -epochal && n <= lastSecond): // which NaN is not either
		return fmt.Errorf(`%q is neither a time such as 2026-05-04T10:00:00Z nor a duration such as "90m"`, event.Bound(s, 64))
	case n >= epochal:
		e.Expires = time.Unix(int64(n), 0)
	default:
		e.Term = ban.Term(n * float64(time.Second))
	}
	return nil
}

// Printable makes a text safe to show: bounded, on one line, without control
// characters.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar || unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(event.Bound(strings.TrimSpace(s), event.MaxField), ""))
}
