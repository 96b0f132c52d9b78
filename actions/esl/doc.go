// Package esl has a FreeSWITCH do what only it can do about an attacker: action
// "esl", over the event socket of a source of that kind.
//
// It stands at the end of the path. A firewall stops the next packet of a caller,
// not the call that is up, whose media may come from elsewhere, and not the next
// registration of a stolen account. This action hangs up, throws registrations
// out, and sends one command of the operator's own.
//
// The invariant: nothing is sent but the commands below, each on one line, and
// what stands in them from an event was checked before, letter by letter. A value
// that does not pass is not sent, and counted.
//
//	action "esl" "fraud" {
//	  source             = source.esl.pbx
//	  hangup             = "user" # or "ip": uuid_kill for all their calls
//	  flush_registration = "user" # or "ip": sofia profile … flush_inbound_reg
//	  profile            = "internal" # of the registrations; default: where they are
//	  command            = "hash insert/blocked/<ip>/1" # holes: <ip> <network> <user> <domain> <rule>
//	}
//
// Whom it acts on. "ip" is everybody in the network that the change is about: the
// calls and registrations that come from there. "user" is the accounts in its
// evidence, the newest twenty, whose password the switch had seen. Who was refused,
// or called where no password is asked, has shown nothing but the name of an account:
// if that counted, anybody could end the calls of anybody.
//
//   - Bans that begin or grow longer are acted on in both ways. The ends of bans
//     are nothing to this action.
//   - A spared ban has a protected target, an office with good phones. From there
//     an account may be misused, and all other calls must go on: only accounts are
//     acted on, and a command with an address in it, or without an account, is not
//     sent.
//   - An alert often names a victim, and rules alert all actions unless they say
//     otherwise. It is acted on only if its rule names this action:
//     alert { actions = [action.esl.fraud] }.
//
// When. FreeSWITCH writes its lists of calls and registrations a moment late, so
// they are read twice, now and a second later. What could not be done because the
// switch cannot be reached is tried again for five minutes: to hang up long after
// the fact is pointless. A command may be sent twice, if the connection breaks
// before its answer. A refusal of the switch is an error, and final.
//
// What is known of a channel is where its caller is and what he is called, so that
// calls to an address are found by account only. A list of more than 16 MB, some
// 13,000 channels, cannot be read, and is an error.
package esl
