package event

import (
	"fmt"
	"strconv"
)

// A textField is a named text of an Event.
type textField struct {
	name  string
	bound int
	at    func(*Event) *string
}

// textFields is the one table that ties a field's name in rules, patterns and
// tests to its place in an Event.
var textFields = []textField{
	{"user", MaxField, func(e *Event) *string { return &e.User }},
	{"domain", MaxField, func(e *Event) *string { return &e.Domain }},
	{"profile", MaxField, func(e *Event) *string { return &e.Profile }},
	{"method", MaxField, func(e *Event) *string { return &e.Method }},
	{"user_agent", MaxField, func(e *Event) *string { return &e.UserAgent }},
	{"call_id", MaxField, func(e *Event) *string { return &e.CallID }},
	{"to_user", MaxField, func(e *Event) *string { return &e.ToUser }},
	{"destination", MaxField, func(e *Event) *string { return &e.Destination }},
	{"transport", MaxField, func(e *Event) *string { return &e.Transport }},
	{"level", MaxField, func(e *Event) *string { return &e.Level }},
	{"file", MaxField, func(e *Event) *string { return &e.File }},
	{"message", MaxText, func(e *Event) *string { return &e.Message }},
}

// FieldNames lists every name that a rule may use for a part of an event, in
// the order of the documentation. "fields" stands for the raw ones.
var FieldNames = []string{
	"event", "source", "time", "ip", "port", "user", "domain", "profile", "method", "user_agent",
	"call_id", "to_user", "destination", "transport", "level", "file", "message", "repeat", "fields",
}

// Each calls f with every text field of the event, to be read or changed.
func (e *Event) Each(f func(text *string)) {
	for _, field := range textFields {
		f(field.at(e))
	}
}

// TextField returns a function that reads the named part of an event as text: a
// text field, "event", "source", "ip" or "port". It reports false for any other
// name.
func TextField(name string) (read func(*Event) string, ok bool) {
	switch name {
	case "event":
		return func(e *Event) string { return e.Name }, true
	case "source":
		return func(e *Event) string { return e.Source }, true
	case "ip":
		return func(e *Event) string {
			if !e.IP.IsValid() {
				return ""
			}
			return e.IP.String()
		}, true
	case "port":
		return func(e *Event) string {
			if e.Port == 0 {
				return ""
			}
			return strconv.Itoa(int(e.Port))
		}, true
	}
	for _, f := range textFields {
		if f.name == name {
			return func(e *Event) string { return *f.at(e) }, true
		}
	}
	return nil, false
}

// Set gives the named part of the event a value in its text form, bounded. A
// name that no field bears becomes a raw field. It fails on an address, port or
// flag that is none.
func (e *Event) Set(name, value string) error {
	for _, f := range textFields {
		if f.name == name {
			*f.at(e) = Bound(value, f.bound)
			return nil
		}
	}
	switch name {
	case "event":
		e.Name = value
	case "source":
		e.Source = value
	case "ip":
		addr, port, ok := ParseAddr(value)
		if !ok {
			return fmt.Errorf("%q is not an IP address", Bound(value, 64))
		}
		e.IP = addr
		if port != 0 {
			e.Port = port
		}
	case "port":
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a port", Bound(value, 64))
		}
		e.Port = uint16(port)
	case "repeat":
		repeat, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", Bound(value, 64))
		}
		e.Repeat = repeat
	default:
		if e.Fields == nil {
			e.Fields = map[string]string{}
		}
		e.Fields[name] = Bound(value, MaxField)
	}
	return nil
}
