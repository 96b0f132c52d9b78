// Package forgery finds the lines of FreeSWITCH's log that an attacker wrote, by the
// clock that the attacker cannot see.
//
// It stands behind the patterns. The source asks it about each line that would
// become an event with an address; see [Detector.Judge].
//
// Invariant: an address is named as the sender of a forged line only if the lines
// around it prove the session. Ambiguous evidence names no sender.
package forgery
