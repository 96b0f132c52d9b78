package main

import (
	"fmt"
	"regexp"
)

// firstStamp finds the first line that begins with a whole date and time, behind the
// UUID of a call perhaps. Without the year nobody knows what is older.
var firstStamp = regexp.MustCompile(`(?m)^(?:[0-9a-f-]{36} )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)`)

// sampled is how much of a file is looked at for its first stamp, in bytes.
const sampled = 16 << 10

// compareBegin notes that the file just opened begins before the one named before it.
// A shell lists a log before those that were rotated away, the newest first; time would
// go backwards at each of them, and attacks that go on from one to the next fall apart.
func (r *recording) compareBegin() {
	if r.lastPath == "-" || r.began == "" && len(r.paths) == 0 {
		return // it may be long in coming, or there is nothing to compare it to
	}
	head, _ := r.current.Peek(sampled) // an error comes again when it is read
	found := firstStamp.FindSubmatch(head)
	if found == nil {
		return
	}
	began := string(found[1])
	if began < r.began && r.disordered == nil {
		r.disordered = fmt.Errorf("%s is older than %s, which was named before it: name the oldest first", r.lastPath, r.beganPath)
	}
	r.began, r.beganPath = began, r.lastPath
}
