package esl

import (
	"cmp"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
)

// Bounds of the raw fields. Most events of FreeSWITCH have 10 to 40 headers, those of a
// channel 60 to 130, and some 300 when it is answered or ends.
const (
	maxFields     = 128
	maxFieldBytes = 16 << 10 // names and values together
	maxFieldName  = 128      // bytes; FreeSWITCH has no longer names of headers
)

// fields copies the headers of the event, bounded, without those that FreeSWITCH adds to
// every event. It is never nil.
func fields(h headers) map[string]string {
	kept, size := make(map[string]string, len(h)), 0
	for name, value := range h {
		if !isOwn(name) {
			continue
		}
		value = cut(value)
		kept[name] = value
		size += len(name) + len(value)
	}
	if len(kept) > maxFields || size > maxFieldBytes {
		dropLast(kept)
	}
	return kept
}

func bound(s string) string { return event.Bound(s, event.MaxField) }

// cut bounds a header, which is a text of its own: it need not be copied.
func cut(header string) string {
	if len(header) <= event.MaxField {
		return header
	}
	return bound(header)
}

// dropLast drops the fields for which there is no room: first those that callers can add
// (headers of a SIP message, which become variables), and then other variables. A caller
// cannot push out the headers that a rule reads.
func dropLast(fields map[string]string) {
	type ranked struct {
		rank int
		name string
	}
	all, size := make([]ranked, 0, len(fields)), 0
	for name := range fields {
		all = append(all, ranked{rank(name), name})
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Or(a.rank-b.rank, strings.Compare(a.name, b.name)) })
	for i, f := range all {
		size += len(f.name) + len(fields[f.name])
		if i >= maxFields || size > maxFieldBytes {
			delete(fields, f.name)
		}
	}
}

// only copies the named headers of the event, bounded. It is never nil.
func only(h headers, names []string) map[string]string {
	kept := map[string]string{}
	for _, name := range names {
		if value, ok := h[name]; ok {
			kept[name] = cut(value)
		}
	}
	return kept
}

// isOwn reports whether a header is about the event itself. The variables of the same
// names are from the request for the caller's account.
func isOwn(name string) bool {
	if len(name) > maxFieldName {
		return false
	}
	name = strings.TrimPrefix(name, "variable_")
	return name != "" && name != "Core-UUID" && name != "Content-Length" &&
		!strings.HasPrefix(name, "Event-") && !strings.HasPrefix(name, "FreeSWITCH-")
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
