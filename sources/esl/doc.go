// Package esl reads the events and log records that FreeSWITCH reports over its event
// socket: `source "esl" "name" { … }`.
//
// It stands first on the path, where bytes become events, beside the log. A decoder
// turns messages of package engine/esl into events, and pairs those of one attempt. A
// bounded queue holds them while the engine is busy, because a switch disconnects a
// slow reader. On a second connection, it lists the phones that registered earlier, the
// gateways of the switch, and the channels, which shows what calls have ended unheard, and
// tests whether its log level shows warnings.
//
// Invariant: an address and its account come from headers of their own or from a framed
// log record. Text that a caller writes into another header does not change them. The memory is
// bounded, whatever is sent.
//
// The socket does not tell: the transport of a registration (the caller writes it),
// REGISTER from INVITE where there was only a challenge, and the address of a call that
// an access list refused. Trap: FreeSWITCH reports forged sender addresses of UDP.
package esl
