// Package corroboration checks a log, into which callers can write, against the event stream of
// the same switch, or against what a source hears on the wire.
//
// It stands between the sources and the rules. A [Verifier] holds a log event for two seconds, or
// longer if the program was suspended, until the witness has reported the same attempt. Then the
// event goes on to the rules. An event that an event stream would have reported and did not becomes
// a log_forgery of the sender of the line.
//
// A witness on the wire has other names for what a log reports; the table kinds holds both. What it
// does not report is discarded: the switch may not mirror every profile, and a mirrored packet can
// be lost, so silence makes no forgery. It cannot see the event socket: esl_denied is never
// believed then. If a sender is forged, the log has a true line about an innocent address, and the
// witness counts the attempt where the nonce went: the line is discarded too.
//
// Invariant: each report confirms at most one log event of each kind, and no event becomes a
// forgery while it is unknown whether the stream was heard.
package corroboration
