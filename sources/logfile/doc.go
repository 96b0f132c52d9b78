// Package logfile reads FreeSWITCH's log: `source "log" "name" { … }`, and in systemd's
// journal: `source "journal" "name" { … }`.
//
// It stands first on the path, where bytes become events. What other programs write
// around the lines is taken off (see package carrier). A plan finds the lines that
// may match a pattern (see [builtin]). The header of such a line is parsed, its message
// is compared with the patterns, and the lines that follow must be FreeSWITCH's own.
// The result is an [event.Event]. A [decoder] does this wherever the lines come from:
// a recording (Replay), a file or journal that grows (Follow), or the event socket ([Framed]).
//
// Invariant: nothing that an attacker writes into a user name, a domain, a user agent
// or a Call-ID changes the address of an event. A line that can be read with two
// addresses is refused as evidence and counted.
//
// # Forged lines
//
// A reader of the file cannot know whether a whole line is FreeSWITCH's own. With
// uuid=true, mod_logfile's default, a SIP Call-ID or display name can put complete
// lines into the log. A verto login always can, and so can any packet while a SIP
// trace runs; testdata/forged.log shows some. Such a line stands at most 2 KB behind
// a line of a session, and its writer must guess FreeSWITCH's clock at that moment,
// which goes in steps of 20 ms. If the stamp does not fit the lines around it, the
// line becomes a log_forgery against the sender of the request that was logged there
// (forgery = "detect", the default; see package forgery). On recordings under attack
// this found every forged line that read as an event, and no true one.
//
// It does not find a line whose writer guessed well:
//
//   - An attacker who knows the host's time can come within the tolerance of one step,
//     more easily the less is logged: at a level above DEBUG there may be no line behind
//     that contradicts the forged one.
//   - Nothing is compared in an hour that a zone repeats, in the first lines of a file,
//     in syslog, and in a login or packet of more than some KB.
//   - In such a login an attacker can have another address named as the sender, because
//     mod_verto accepts a login of any length.
//   - An attacker can have a true line refused that is logged within 2 KB behind its own
//     line, or before a flood of them.
//
// So a log that is to be evidence by itself is written with uuid=false, and holds
// sofia_reg.c, sofia.c and mod_event_socket.c at level warning and above only: at level
// debug FreeSWITCH writes Call-IDs and SDP unchanged, whatever uuid says. Or events are
// believed only if the event socket reported the same: corroborate = source.esl.pbx.
package logfile
