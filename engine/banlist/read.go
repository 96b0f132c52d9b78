package banlist

import (
	"bytes"
	"errors"
	"fmt"
)

// The formats of a list.
const (
	Plain = "plain" // one address or network on a line
	CSV   = "csv"   // the same in columns, with a header
	JSON  = "json"  // an array, an object keyed by address, an object that holds a list, or one object after the other
)

// Formats are all formats that Read knows.
var Formats = []string{Plain, CSV, JSON}

var errHTML = errors.New("it is a web page, not a list")

// Read reads a list and calls add with each entry, in the list's order. The format ""
// is detected by the content. Read ends at the first error of add and returns it.
func Read(body []byte, format string, add func(Entry) error) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // a byte order mark
	start := bytes.TrimLeft(body, " \t\r\n")
	if bytes.HasPrefix(start, []byte("<")) {
		return errHTML
	}
	if format == "" {
		format = formatOf(start)
	}
	switch format {
	case Plain:
		return readPlain(string(body), add)
	case CSV:
		return readCSV(string(body), add)
	case JSON:
		return readJSON(body, add)
	}
	return fmt.Errorf("unknown list format %q", format)
}

// formatOf detects the format of a list by how it begins.
func formatOf(start []byte) string {
	if len(start) > 0 && (start[0] == '[' || start[0] == '{') {
		return JSON
	}
	for line := range bytes.Lines(start) {
		text := string(bytes.TrimSpace(line))
		if isComment(text) {
			continue
		}
		if columnsOf(splitCSV(text)) != nil {
			return CSV
		}
		break
	}
	return Plain
}
