package feed

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// The forms of a list.
const (
	formatPlain    = "plain"     // one address or network in a line
	formatCSV      = "csv"       // the same in columns, with a header
	formatJSON     = "json"      // an array, an object keyed by address, or an object that holds an array
	formatAPIBAN   = "apiban"    // APIBAN's second interface
	formatAPIBANv1 = "apiban-v1" // its first one, with the key in the path
)

// bounds is how much of a list is believed.
type bounds struct {
	entries     int // more than these: the list is refused
	bits, bits6 int // networks with a shorter prefix than this are left out, by family
}

// A list is what was read of one answer.
type list struct {
	entries []entry // in the list's own order, each target once

	lines      int // entries that were there, of any kind
	unreadable int // those that name no address
	first      int // where the first of these stands: a line, or an element counted from 1
	wide       int // those that name too wide a network

	bounds bounds
	known  map[netip.Prefix]struct{}
}

var errHTML = errors.New("the answer is a web page, not a list")

func newList(b bounds) *list {
	return &list{bounds: b, known: map[netip.Prefix]struct{}{}}
}

// read reads a list of the given form; "" finds out which it is.
func read(body []byte, format string, b bounds) (*list, error) {
	l := newList(b)
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // a byte order mark
	start := bytes.TrimLeft(body, " \t\r\n")
	if bytes.HasPrefix(start, []byte("<")) {
		return l, errHTML
	}
	if format == "" {
		format = formOf(start)
	}
	var err error
	switch format {
	case formatPlain:
		err = l.readPlain(string(body))
	case formatCSV:
		err = l.readCSV(string(body))
	default:
		err = l.readJSON(body)
	}
	if err != nil {
		return l, err
	}
	return l, l.doubt()
}

// doubt is an error where so much of a list is no address that the rest is likely
// to be none of it by intent.
func (l *list) doubt() error {
	if l.unreadable > l.lines/2 {
		return fmt.Errorf("%d of %d entries are no address, the first is number %d", l.unreadable, l.lines, l.first)
	}
	return nil
}

// formOf tells the form of a list by how it begins.
func formOf(start []byte) string {
	if len(start) > 0 && (start[0] == '[' || start[0] == '{') {
		return formatJSON
	}
	for line := range bytes.Lines(start) {
		text := string(bytes.TrimSpace(line))
		if isComment(text) {
			continue
		}
		if c, ok := columnsOf(splitCSV(text)); ok && c.count > 1 {
			return formatCSV
		}
		break
	}
	return formatPlain
}

// add takes an entry that could be read. It fails when there are too many.
func (l *list) add(e entry) error {
	l.lines++
	if _, twice := l.known[e.target]; twice {
		return nil
	}
	least := l.bounds.bits
	if e.target.Addr().Is6() {
		least = l.bounds.bits6
	}
	if e.target.Bits() < least {
		l.wide++
		return nil
	}
	if len(l.entries) >= l.bounds.entries {
		return fmt.Errorf("more than %d entries (max_entries)", l.bounds.entries)
	}
	l.known[e.target] = struct{}{}
	l.entries = append(l.entries, e)
	return nil
}

// skip counts an entry that could not be read, and where it stands.
func (l *list) skip(number int) {
	l.lines++
	l.unreadable++
	if l.first == 0 {
		l.first = number
	}
}
