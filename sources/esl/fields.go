package esl

import (
	"cmp"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
)

// Bounds of the raw fields. Most events of FreeSWITCH have 10 to 40 headers, those of a
// channel 60 to 130, and some 300 when it ends.
const (
	maxFields     = 128
	maxFieldBytes = 16 << 10 // names and values together
	maxFieldName  = 128      // bytes; FreeSWITCH has no longer names of headers
)

// fields copies the headers of the event, bounded, without those that FreeSWITCH adds to
// every event.
//
// Of too many it drops first those that callers can add (headers of a SIP message, which
// become variables), and then other variables: a caller cannot push out the headers that
// a rule reads.
func fields(h headers) map[string]string {
	kept, size := make([]string, 0, len(h)), 0
	for name, value := range h {
		if isOwn(name) {
			kept = append(kept, name)
			size += len(name) + min(len(value), event.MaxField)
		}
	}
	if len(kept) > maxFields || size > maxFieldBytes {
		kept = foremost(kept, h)
	}
	return copied(kept, h, min(size, maxFieldBytes))
}

// isOwn reports whether a header is about the event itself. The variables of the same
// names are from the request for the caller's account.
func isOwn(name string) bool {
	name = strings.TrimPrefix(name, "variable_")
	return name != "" && len(name) <= maxFieldName && name != "Core-UUID" && name != "Content-Length" &&
		!strings.HasPrefix(name, "Event-") && !strings.HasPrefix(name, "FreeSWITCH-")
}

// foremost returns as many of the names as there is room for.
func foremost(names []string, h headers) []string {
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
	})
	size := 0
	for i, name := range names {
		size += len(name) + min(len(h[name]), event.MaxField)
		if i == maxFields || size > maxFieldBytes {
			return names[:i]
		}
	}
	return names
}

// callerNamed are the prefixes of variables whose names callers choose: each is a header
// of their SIP message.
var callerNamed = []string{"variable_sip_h_", "variable_sip_i_", "variable_sip_rh_", "variable_sip_ph_", "variable_sip_bye_h_"}

// rank orders headers: those of FreeSWITCH or needed by this package, those of the
// configuration, those of the caller.
func rank(name string) int {
	switch {
	case !strings.HasPrefix(name, "variable_") || isNeeded[name]:
		return 0
	case slices.ContainsFunc(callerNamed, func(start string) bool { return strings.HasPrefix(name, start) }):
		return 2
	}
	return 1
}

// copied returns the named headers; it is never nil. Names and values are parts of one
// copy, so that the event retains nothing of the message.
func copied(names []string, h headers, size int) map[string]string {
	var all strings.Builder
	all.Grow(size)
	for _, name := range names {
		value := h[name]
		all.WriteString(name)
		all.WriteString(value[:min(len(value), event.MaxField)])
	}
	text, made := all.String(), make(map[string]string, len(names))
	for _, name := range names {
		key, rest := text[:len(name)], text[len(name):]
		n := min(len(h[name]), event.MaxField)
		made[key], text = rest[:n], rest[n:]
	}
	return made
}
