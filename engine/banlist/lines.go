package banlist

import (
	"encoding/csv"
	"errors"
	"iter"
	"slices"
	"strings"
)

// lines yields the lines, trimmed and with their numbers, without comments and empty ones.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(text) {
			number++
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '#' && line[0] != ';' && !yield(number, line) {
				return
			}
		}
	}
}

var errRange = errors.New("a range of addresses is not a network: write it as networks")

// readPlain reads an address or a network from the start of each line. What follows
// a blank, a comma or a comment sign is a remark.
func readPlain(text string, add func(Entry) error) error {
	for number, line := range lines(text) {
		e := Entry{Unit: "line", Number: number, Text: line}
		if i := strings.IndexAny(line, " \t,;#"); i >= 0 {
			e.Text = line[:i]
		}
		e.Target, e.Err = parseTarget(e.Text)
		if rest := strings.TrimSpace(line[len(e.Text):]); strings.HasPrefix(rest, "-") {
			e.Text, e.Err = line, errRange // not the address that the range begins with
		}
		if err := add(e); err != nil {
			return err
		}
	}
	return nil
}

// readCSV reads a table with one entry on a line. The header names the columns; a
// table without header has its addresses in the first. A quoted value ends with its
// line: one quotation mark too many must not swallow the rest.
func readCSV(text string, add func(Entry) error) error {
	var columns map[string]int
	for number, line := range lines(text) {
		values := splitCSV(line)
		if columns == nil {
			if columns = columnsOf(values); columns != nil {
				continue
			}
			columns = map[string]int{targetNames[0]: 0}
		}
		e := newEntry("line", number, func(name string) string {
			if i, ok := columns[name]; ok && i < len(values) {
				return strings.TrimSpace(values[i])
			}
			return ""
		})
		if err := add(e); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf reads a header: where each name stands. It is nil where the line is no
// header: it holds an address, or no name of a column of addresses.
func columnsOf(values []string) map[string]int {
	columns := map[string]int{}
	header := false
	for i, value := range slices.Backward(values) { // of equal names the first wins
		if _, err := parseTarget(strings.TrimSpace(value)); err == nil {
			return nil
		}
		name := fieldName(value)
		header = header || slices.Contains(targetNames, name)
		columns[name] = i
	}
	if !header {
		return nil
	}
	return columns
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
