package banlist

import (
	"errors"
	"fmt"
	"strings"
)

// The formats of a list.
const (
	Plain = "plain" // one address or network on a line
	CSV   = "csv"   // the same in columns, with a header
	JSON  = "json"  // an array, an object keyed by address, an object that holds a list, alerts of CrowdSec, or one object after the other
)

// Formats are all formats that Read knows.
var Formats = []string{Plain, CSV, JSON}

const space = " \t\r\n" // as in JSON

var errHTML = errors.New("it is a web page, not a list")

// Read reads a list and calls add with each entry, in the list's order. The format ""
// is detected by the content. Read ends at the first error of add and returns it.
func Read(body []byte, format string, add func(Entry) error) error {
	text := strings.TrimPrefix(string(body), "\xef\xbb\xbf") // a byte order mark
	if strings.HasPrefix(strings.TrimLeft(text, space), "<") {
		return errHTML
	}
	if format == "" {
		format = formatOf(text)
	}
	switch format {
	case Plain:
		return readPlain(text, add)
	case CSV:
		return readCSV(text, add)
	case JSON:
		return readJSON(text, add)
	}
	return fmt.Errorf("unknown list format %q", format)
}

// formatOf detects the format of a list by how it begins.
func formatOf(text string) string {
	if start := strings.TrimLeft(text, space); start != "" && strings.Contains("[{", start[:1]) {
		return JSON
	}
	for _, line := range lines(text) {
		if columnsOf(splitCSV(line)) != nil {
			return CSV
		}
		break
	}
	return Plain
}
