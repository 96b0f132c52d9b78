package feed

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// An entry is one address or network that a list names.
type entry struct {
	target  netip.Prefix
	ttl     time.Duration // how long it is to be banned, as the list says; 0: it does not say; below: it is over
	expires time.Time     // when that ends, as the list says; zero: it does not say
	reason  string        // printable and bounded; "" where the list gives none
}

// end is when the ban of an entry that stands on the list now is over. The list's
// own word wins over the feed's ttl, but not over max_ttl.
func (e *entry) end(now time.Time, s *settings) time.Time {
	end := now.Add(s.ttl)
	switch {
	case !e.expires.IsZero():
		end = e.expires
	case e.ttl != 0:
		end = now.Add(e.ttl)
	}
	if latest := now.Add(s.maxTTL); end.After(latest) {
		return latest
	}
	return end
}

// parseTarget reads an address or a network. A single address is the common case,
// and by far the cheaper one where it is tried first.
func parseTarget(s string) (netip.Prefix, error) {
	if strings.IndexByte(s, '/') < 0 {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
	}
	return ban.ParseTarget(s)
}

// epochal is the smallest number that is taken as seconds since 1970 rather than
// from now: it is in the year 2001, or 31 years long.
const epochal = 1_000_000_000

// lastSecond is the end of the year 9999, the last that has a text form.
const lastSecond = 253_402_300_799

var errTerm = errors.New("neither a duration nor a time")

// setTerm reads when an entry ends, in any of the forms in which lists say so: a
// duration, a number of seconds, a time, a number of seconds since 1970, or
// "permanent". An empty text says nothing.
func (e *entry) setTerm(s string) error {
	if s == "" {
		return nil
	}
	if s == "permanent" {
		e.ttl = ban.MaxDuration
		return nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil { // the common form; its mistakes are cheap
		e.expires = t
		return nil
	}
	if d, err := ban.ParseDuration(s); err == nil {
		e.ttl = d
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil { // below zero, or in nanoseconds
		e.ttl = d
		return nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n <= lastSecond && n >= -epochal {
		if n >= epochal {
			e.expires = time.Unix(n, 0)
			return nil
		}
		e.ttl = time.Duration(n) * time.Second
		return nil
	}
	return errTerm
}

// printable makes a text of the list's one that may be shown: bounded, on one
// line, without control characters.
func printable(s string) string {
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
