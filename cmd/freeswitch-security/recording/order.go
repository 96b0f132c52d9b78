package recording

import (
	"bufio"
	"fmt"

	"freeswitch-security/engine/regex"
)

// firstStamp finds the first line that begins with a full date and time, perhaps after the UUID
// of a call. Stamps without a year cannot be compared.
var firstStamp = regex.New(`(?m)^(?:[0-9a-f-]{36} )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)`)

// sampled is the number of bytes of a file that are searched for its first stamp.
const sampled = 16 << 10

// compareBegin notes whether the file just opened begins before the file named before it.
// A shell lists a log before its rotated files, the newest first. Read in that order, time goes
// backwards at each file, and windows that span two files do not fill.
func (r *Stream) compareBegin(opened *bufio.Reader) {
	if r.path == "-" || r.began == "" && len(r.paths) == 0 {
		return // reading ahead could block, or there is no other file
	}
	head, _ := opened.Peek(sampled) // Read returns the error again
	found := firstStamp.Use().FindSubmatch(head)
	if found == nil {
		return
	}
	began := string(found[1])
	if began < r.began && r.disordered == nil {
		r.disordered = fmt.Errorf("%s is older than %s, which was named before it: name the oldest first", r.path, r.beganPath)
	}
	r.began, r.beganPath = began, r.path
}
