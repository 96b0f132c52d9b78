package esl

import (
	"strconv"

	"freeswitch-security/engine/event"
)

// evidence writes a report in one line for people:
//
//	sofia::register_failure REGISTER user=1003@10.77.0.10 from 192.0.2.218:55529 profile=internal user-agent="Zoiper"
//
// What stands in it was written by callers: it is bounded, and not escaped.
func evidence(report string, e *event.Event) string {
	b := append(make([]byte, 0, 256), report...)
	put := func(before, text, after string) {
		if text != "" {
			b = append(append(append(b, before...), text...), after...)
		}
	}
	put(" ", e.Method, "")
	put(" user=", e.User, "")
	put("@", e.Domain, "")
	put(" destination=", e.Destination, "")
	if e.IP.IsValid() {
		b = append(b, " from "...)
		b = appendAddr(b, e)
	}
	put(" gateway=", e.Fields["gateway"], "")
	put(" cause=", e.Fields["Hangup-Cause"], "")
	put(" result=", e.Fields["auth-result"], "")
	put(" profile=", e.Profile, "")
	put(" call-id=", e.CallID, "")
	put(` user-agent="`, e.UserAgent, `"`)
	return string(b[:min(len(b), event.MaxText)])
}

// appendAddr writes "192.0.2.1:5060" or "[2001:db8::1]:5060", without the port
// where none is told.
func appendAddr(b []byte, e *event.Event) []byte {
	if e.Port == 0 {
		return e.IP.AppendTo(b)
	}
	if e.IP.Is6() {
		b = append(e.IP.AppendTo(append(b, '[')), ']')
	} else {
		b = e.IP.AppendTo(b)
	}
	return strconv.AppendUint(append(b, ':'), uint64(e.Port), 10)
}
