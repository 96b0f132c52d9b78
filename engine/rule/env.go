package rule

import "freeswitch-security/engine/event"

// environment is what an expression reads of an event: the names of
// [event.Fields]. The address and the port differ in type from those of the event.
//
// It is passed to expr by value and boxed once per event: through a pointer every
// field read would allocate. It must have no methods, which would be functions of
// the language.
type environment struct {
	event.Event `expr:"-"` // only its fields
	Address     string     `expr:"ip"`
	PortNumber  int        `expr:"port"`
}

// NewEnv returns the environment in which [Matcher.Match] evaluates an expression.
// It shares the event's raw fields.
func NewEnv(ev *event.Event) any {
	ip := ""
	if ev.IP.IsValid() {
		ip = ev.IP.String()
	}
	return environment{Event: *ev, Address: ip, PortNumber: int(ev.Port)}
}
