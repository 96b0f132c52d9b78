// Package corroborate believes a log into which callers can write only where the
// event stream of the same switch has reported the same attempt.
//
// It stands between the sources and the rules. A log event waits for two seconds,
// or longer where the program itself stood still, until the stream has confirmed
// it; then it goes on to the rules, as itself or, if the stream would have reported
// it and did not, as a log_forgery against whoever wrote the line.
//
// The invariant: each report of the stream confirms one log event, and none is
// called a forgery while it is open whether the stream was heard.
package corroborate
