// Package esl acts on calls and registrations of a FreeSWITCH: action "esl", over the
// event socket of a source "esl".
//
// It stands at the end of the path. A firewall drops the next packet of a caller. It does
// not end a call, whose media may come from elsewhere, or the next registration of a
// stolen account. This action hangs up, flushes registrations, and sends one command of
// the operator.
//
// Invariant: it sends only the commands below, each on one line. A value of an event in
// them has only letters, digits and few other characters. A command with any other value
// is not sent, and counted.
//
//	action "esl" "fraud" {
//	  source             = source.esl.pbx
//	  hangup             = "user" # or "ip": uuid_kill for each call
//	  flush_registration = "user" # or "ip": sofia profile … flush_inbound_reg
//	  profile            = "internal" # of the registrations; default: that of each
//	  command            = "hash insert/blocked/<ip>/1" # also <network> <user> <domain> <rule>
//	}
//
// "ip" acts on the calls and registrations from the banned network. "user" acts on the
// accounts in the evidence, the newest twenty, whose password the switch has verified. A
// caller with a refused or no password has shown only the name of an account: if that
// counted, any caller could end the calls of any account. The case of an account's letters
// makes no difference. A command with an account in capitals is sent in small letters as well.
//
// Which changes it acts on:
//
//   - ban and extend: in both ways. It ignores unban, expire and refuse.
//   - spare: only on accounts, because all other calls of a protected target must go on. A
//     command with an address, or without an account, is not sent.
//   - alert: only if the rule names this action, because an alert often names a victim:
//     alert { actions = [action.esl.fraud] }. From the threshold on it acts at every match,
//     also while the alert is held off.
//
// FreeSWITCH lists calls and registrations a moment late, so the lists are read again a
// second later. While the switch cannot be reached, changes are retried for five minutes.
// A command may be sent twice, if the connection breaks before its answer. A refusal of
// the switch is an error, and final.
//
// Limits: a listed channel has the address and account of its caller, so calls to an
// address are found only by account.
package esl
