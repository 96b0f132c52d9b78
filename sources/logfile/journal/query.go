package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/regex"
)

// A Query says which entries are read.
type Query struct {
	Unit      string   // that wrote them, "freeswitch.service"
	Match     []string // fields that they must have too, "CONTAINER_NAME=freeswitch"
	Directory string   // of the journal; "" for that of the host
}

// Lengths are compared apart: a program that has a bounded repetition unrolls it at each start.
var (
	unitForm   = regex.New(`^[A-Za-z0-9:_.\\@-]+$`)
	fieldForm  = regex.New(`^[A-Z_][A-Z0-9_]*$`)
	cursorForm = regex.New(`^[A-Za-z0-9=;-]+$`)
)

// IsUnit reports whether a text is the name of one unit.
func IsUnit(text string) bool { return len(text) <= 255 && unitForm.Use().MatchString(text) }

// IsMatch reports whether a text is a field with a value.
func IsMatch(text string) bool {
	field, value, _ := strings.Cut(text, "=")
	return len(field) <= 64 && fieldForm.Use().MatchString(field) && value != "" && len(value) <= 1000 && !strings.Contains(value, "\x00")
}

func isCursor(text string) bool { return len(text) <= 512 && cursorForm.Use().MatchString(text) }

// A Place is how far a journal was read.
type Place struct {
	Cursor string    `json:"cursor,omitempty"` // of the last entry that is done with
	Since  time.Time `json:"since,omitzero"`   // where it begins if there is none
}

// ParsePlace parses a place that was saved.
func ParsePlace(saved []byte) (p Place, err error) {
	if err := json.Unmarshal(saved, &p); err != nil {
		return p, err
	}
	if p.Cursor != "" && !isCursor(p.Cursor) {
		return p, fmt.Errorf("%.40q is no cursor", p.Cursor)
	}
	return p, nil
}

// Bytes is what ParsePlace parses.
func (p Place) Bytes() []byte {
	data, _ := json.Marshal(p) // texts and times cannot fail
	return data
}

// At returns the place behind an entry; false if the line is none.
func At(line []byte) (p Place, ok bool) {
	var entry struct {
		Cursor string `json:"__CURSOR"`
	}
	ok = json.Unmarshal(line, &entry) == nil && isCursor(entry.Cursor)
	return Place{Cursor: entry.Cursor}, ok
}

// args returns the arguments of journalctl. If follow is not set, it ends at the present
// end.
func (q *Query) args(from Place, follow bool) []string {
	// --all: without it a message of more than 4 KB is left out.
	args := []string{"--output=json", "--all", "--no-pager", "--output-fields=MESSAGE,_HOSTNAME,SYSLOG_IDENTIFIER", "--unit=" + q.Unit}
	if q.Directory != "" {
		args = append(args, "--directory="+q.Directory, "--merge")
	}
	if from.Cursor != "" {
		args = append(args, "--after-cursor="+from.Cursor)
	} else {
		args = append(args, fmt.Sprintf("--since=@%d.%06d", from.Since.Unix(), from.Since.Nanosecond()/1000))
	}
	if follow {
		args = append(args, "--follow", "--no-tail")
	}
	return append(args, q.Match...)
}
