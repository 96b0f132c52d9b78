// Package corroboration checks a log, into which callers can write, against the
// event stream of the same switch.
//
// It stands between the sources and the rules. A [Verifier] holds a log event for
// two seconds, or longer if the program was suspended, until the stream has
// reported the same attempt. Then the event goes on to the rules. An event
// that the stream would have reported and did not becomes a log_forgery of the
// sender of the line.
//
// Invariant: each report of the stream confirms one log event, and no event
// becomes a forgery while it is unknown whether the stream was heard.
package corroboration
