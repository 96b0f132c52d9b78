package esl

import (
	"cmp"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
)

// Bounds of what is kept of an event's headers. FreeSWITCH's own events have 10
// to 40 headers, those of a channel 60 to 130, and some 300 when it ends.
const (
	maxFields     = 128
	maxFieldBytes = 16 << 10 // names and values together
	maxFieldName  = 128      // bytes; a longer name is no header of FreeSWITCH's
)

// fields copies the headers that are the event's own, bounded: what FreeSWITCH
// adds to every event says nothing about this one.
//
// Where there are too many, the ones that callers can add to at will go first
// (headers of a SIP message, which become variables), and the variables before
// FreeSWITCH's own: a caller cannot push out what a rule looks at.
func fields(headers map[string]string) map[string]string {
	kept, size := make([]string, 0, len(headers)), 0
	for name, value := range headers {
		if isOwn(name) {
			kept = append(kept, name)
			size += len(name) + min(len(value), event.MaxField)
		}
	}
	if len(kept) > maxFields || size > maxFieldBytes {
		kept = foremost(kept, headers)
	}
	return copied(kept, headers, min(size, maxFieldBytes))
}

// isOwn reports whether a header tells something of the event itself. The
// variables of the same names are those of the request for the caller's account.
func isOwn(name string) bool {
	name = strings.TrimPrefix(name, "variable_")
	return name != "" && len(name) <= maxFieldName && name != "Core-UUID" && name != "Content-Length" &&
		!strings.HasPrefix(name, "Event-") && !strings.HasPrefix(name, "FreeSWITCH-")
}

// foremost gives as many of the names as there is room for.
func foremost(names []string, headers map[string]string) []string {
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
	})
	size := 0
	for i, name := range names {
		size += len(name) + min(len(headers[name]), event.MaxField)
		if i == maxFields || size > maxFieldBytes {
			return names[:i]
		}
	}
	return names
}

// callerNamed are the beginnings of the variables whose names a caller makes up:
// each of them stands for a header of a SIP message of his.
var callerNamed = []string{"variable_sip_h_", "variable_sip_i_", "variable_sip_rh_", "variable_sip_ph_", "variable_sip_bye_h_"}

// rank orders headers by who decides that they are there: FreeSWITCH, or this
// package's need of them, then the configuration, then the caller.
func rank(name string) int {
	switch {
	case !strings.HasPrefix(name, "variable_") || slices.Contains(callVariables, name):
		return 0
	case slices.ContainsFunc(callerNamed, func(start string) bool { return strings.HasPrefix(name, start) }):
		return 2
	}
	return 1
}

// copied builds the map of the named headers, which is never nil. Names and values are parts of one
// copy, so that the event holds on to nothing of the message.
func copied(names []string, headers map[string]string, size int) map[string]string {
	var all strings.Builder
	all.Grow(size)
	for _, name := range names {
		value := headers[name]
		all.WriteString(name)
		all.WriteString(value[:min(len(value), event.MaxField)])
	}
	text, made := all.String(), make(map[string]string, len(names))
	for _, name := range names {
		key, rest := text[:len(name)], text[len(name):]
		n := min(len(headers[name]), event.MaxField)
		made[key], text = rest[:n], rest[n:]
	}
	return made
}
