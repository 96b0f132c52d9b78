package feed

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/plugin"
)

// The formats of APIBAN, beside those of package banlist.
const (
	formatAPIBAN   = "apiban"    // its second interface
	formatAPIBANv1 = "apiban-v1" // its first one, with the key in the path
)

// An entry is one address or network that a list names.
type entry struct {
	target  netip.Prefix
	term    time.Duration // as the list says; 0: it does not; below 0: the ban is over
	expires time.Time     // as the list says; zero: it does not
	reason  string        // printable and bounded; "": the list gives none
}

// end is when the ban of an entry that is listed now is over. What the list says
// precedes the feed's ttl, but not max_ttl.
func (e *entry) end(now time.Time, s *config) time.Time {
	end := now.Add(s.ttl)
	switch {
	case !e.expires.IsZero():
		end = e.expires
	case e.term != 0:
		end = now.Add(min(e.term, s.maxTTL))
	}
	if latest := now.Add(s.maxTTL); end.After(latest) {
		return latest
	}
	return end
}

// bounds limit what is taken from a list.
type bounds struct {
	entries     int // a list with more is refused
	bits, bits6 int // networks with a shorter prefix are left out, by family
}

// A list is what was read of one answer.
type list struct {
	entries []entry // in the list's order, each target once
	targets map[netip.Prefix]struct{}

	lines      int // entries of any kind
	unreadable int // entries without a usable target
	first      int // number of the first of these
	wide       int // networks that are too wide

	bounds bounds
}

func newList(b bounds) *list {
	return &list{bounds: b, targets: map[netip.Prefix]struct{}{}}
}

// has reports whether a target is on the list.
func (l *list) has(target netip.Prefix) bool {
	_, listed := l.targets[target]
	return listed
}

// read reads a list of the given format; "" detects it.
func read(body []byte, format string, b bounds) (*list, error) {
	l := newList(b)
	if err := banlist.Read(body, format, l.add); err != nil {
		return l, err
	}
	return l, l.checkReadable()
}

// checkReadable fails if most of a list is no address: what remains is hardly one
// by intent.
func (l *list) checkReadable() error {
	if l.unreadable > l.lines/2 {
		return fmt.Errorf("%d of %d entries are no address, the first is number %d", l.unreadable, l.lines, l.first)
	}
	return nil
}

// add takes one entry, and fails if there are too many.
//
// Bans that another node has from its own feeds are left out: two nodes that read
// each other's lists would keep each other's bans alive, even those that an operator
// has ended.
func (l *list) add(e banlist.Entry) error {
	l.lines++
	target, isNetwork := e.Target.Network()
	least := l.bounds.bits
	if target.Addr().Is6() {
		least = l.bounds.bits6
	}
	switch {
	case errors.Is(e.Err, banlist.ErrNoBan), e.Err == nil && (l.has(target) || strings.HasPrefix(e.Author, plugin.FeedAuthor)):
		return nil
	case e.Err != nil, !isNetwork: // a list from elsewhere bans no account
		l.unreadable++
		if l.first == 0 {
			l.first = e.Number
		}
		return nil
	case target.Bits() < least:
		l.wide++
		return nil
	case len(l.entries) >= l.bounds.entries:
		return fmt.Errorf("more than %d entries (max_entries)", l.bounds.entries)
	}
	l.targets[target] = struct{}{}
	l.entries = append(l.entries, entry{target, time.Duration(e.Term), e.Expires, e.Reason})
	return nil
}
