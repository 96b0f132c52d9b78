// Package esl reads what FreeSWITCH reports over its event socket:
// `source "esl" "name" { … }`.
//
// It stands first on the path, where bytes become events, beside the log. A
// connection of package engine/esl yields events of the switch and records of
// its log; the decoder makes events of ours of them, and pairs those that are
// about one attempt; a bounded queue stands between it and the engine, because
// a switch cuts off whoever reads slowly. Whoever registered before we came, and
// the gateways that the switch itself calls through, are asked for on a second
// connection.
//
// The invariant: an address, and who it is held against, comes from a header or
// from a framed log record of its own, and nothing that a caller writes into
// another one changes it. What is held in memory is bounded, whatever is sent.
//
// What cannot be told over this socket: the transport of a registration (the
// caller writes it), REGISTER from INVITE where only a challenge was sent, and
// the address of a call that an access list refused. A sender of UDP can lie
// about his address, and the switch believes him.
package esl
