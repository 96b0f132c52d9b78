package feed

import (
	"encoding/csv"
	"slices"
	"strings"
)

// The names of columns, as letters only and in lower case.
var (
	addressColumns = []string{"ip", "address", "ipaddress", "target", "network", "cidr", "value"}
	termColumns    = []string{"ttl", "duration", "expires", "expiresat", "expiration", "expiry", "until"}
	reasonColumns  = []string{"reason", "scenario", "comment", "description"}
)

// columns says where in a line a value stands; -1: nowhere.
type columns struct {
	address, term, reason int
	count                 int // how many the line has
}

// readCSV reads a table with one entry in a line. The header names the columns; a
// table without one has its addresses in the first. A quoted value does not go on
// in the next line: one quotation mark too many must not swallow the rest.
func (l *list) readCSV(body string) error {
	cols := columns{address: 0, term: -1, reason: -1}
	number, begun := 0, false
	for line := range strings.Lines(body) {
		number++
		line = strings.TrimSpace(line)
		if isComment(line) {
			continue
		}
		values := splitCSV(line)
		if !begun {
			begun = true
			if header, ok := columnsOf(values); ok {
				cols = header
				continue
			}
		}
		e, ok := cols.entry(values)
		if !ok {
			l.skip(number)
			continue
		}
		if err := l.add(e); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf reads a header; ok is false where the line is none.
func columnsOf(values []string) (c columns, ok bool) {
	c = columns{address: -1, term: -1, reason: -1, count: len(values)}
	for i, name := range values {
		if _, err := parseTarget(strings.TrimSpace(name)); err == nil {
			return c, false
		}
		name = strings.Map(lettersOnly, name)
		for column, names := range map[*int][]string{&c.address: addressColumns, &c.term: termColumns, &c.reason: reasonColumns} {
			if *column < 0 && slices.Contains(names, name) {
				*column = i
			}
		}
	}
	return c, c.address >= 0
}

func lettersOnly(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= 'a' && r <= 'z':
		return r
	}
	return -1
}

// entry reads one line of the table.
func (c *columns) entry(values []string) (e entry, ok bool) {
	target, err := parseTarget(at(values, c.address))
	if err != nil {
		return entry{}, false
	}
	e = entry{target: target, reason: printable(at(values, c.reason))}
	return e, e.setTerm(at(values, c.term)) == nil
}

// at is the value in a column, "" where the line has none.
func at(values []string, column int) string {
	if column < 0 || column >= len(values) {
		return ""
	}
	return strings.TrimSpace(values[column])
}

// splitCSV splits one line at its commas.
func splitCSV(line string) []string {
	if strings.IndexByte(line, '"') < 0 {
		return strings.Split(line, ",")
	}
	r := csv.NewReader(strings.NewReader(line))
	r.LazyQuotes, r.TrimLeadingSpace = true, true
	values, err := r.Read()
	if err != nil {
		return nil
	}
	return values
}
