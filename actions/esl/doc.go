// Package esl acts on calls and registrations of a FreeSWITCH, over the event socket of a source
// "esl": action "esl", once for each change, and action "accounts", as long as a ban of an account
// stands.
//
// It stands at the end of the path. A firewall drops the next packet of a caller. It does
// not end a call, whose media may come from elsewhere, or the next registration of a
// stolen account. This action hangs up, flushes registrations, and sends one command of
// the operator.
//
// Invariant: action "esl" sends only the commands below, each on one line. A value of an event in
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
//
// Neither action ends a leg of a call to an emergency number, see [plugin.ActionEnv].
//
// # Action accounts
//
//	action "accounts" "pbx" { source = source.esl.pbx }
//
// It is a level that holds bans of accounts. While one is in force it has an event connection of its own,
// two connections for commands, and does this:
//
//   - Each call that a banned account makes is ended: those that are listed when the ban begins, and each
//     new one at its CHANNEL_CREATE.
//   - Its registrations are flushed, and again at each sofia::register.
//   - The lists of calls and registrations are read when the connection is up, also after each reconnect, five
//     times within the next second, because FreeSWITCH writes them late, and once a minute.
//
// A ban is in force once the switch has answered that nothing of the account is left, and while the switch
// reports. Otherwise the ban is retried for as long as it stands, and the answer says why.
//
// A call is of the account whose password the switch has verified for it, by the names that the digest and
// the directory have for it; without a password, of the account that an access list gives the address; from a
// browser, of its login. Who the caller says it is does not count, in From, presence or account code. So
// no caller has a call of another account ended, or escapes its ban, by what it writes. For a listed call
// the switch is asked for that, once for each call.
//
// A registration is of the account in whose name it is, and of the one whose password was verified. If the
// latter is banned and the name is that of another account, it is flushed by its Call-ID, but only if that can
// mean no other registration.
//
// Work is bounded: one look-up for each call of the switch, at most 4,096 calls that wait for their end, one
// flush at a time for each name, and one line of the log for many calls of a flood.
//
// Limits: only the leg of the caller is ended, which ends the others. A call that a banned account had
// transferred before, and has left, goes on. A registration in the name of another account that stood
// before the ban is flushed when it is renewed. A login of mod_verto stays, without calls. Where the domain
// of registrations is not that of the directory, as with a fixed realm, ban the account of the calls.
package esl
