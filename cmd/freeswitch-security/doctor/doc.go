// Package doctor examines a FreeSWITCH over its event socket, and this host, for what leaves them open to attacks.
//
// It is the verb doctor: [Examine] gathers facts in an exam, and its methods judge them as findings.
//
// Invariant: it changes nothing. The commands it sends to the switch only read, but for one
// line in its log, by which it tests the log level.
package doctor
