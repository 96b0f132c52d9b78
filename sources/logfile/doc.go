// Package logfile reads FreeSWITCH's log: `source "log" "name" { … }`.
//
// It stands first on the path, where bytes become events. A line is looked at
// only if the prefilter finds a literal of a pattern in it; its header is parsed
// at column 0, its message is compared with the patterns, and the lines that
// follow it must be FreeSWITCH's own. What is left is an [event.Event].
//
// The invariant: nothing that a caller writes into a user name, a domain, a user
// agent or a call-id changes which address a line is held against. Where a line
// could be read with two addresses, it is refused as evidence and counted.
//
// What no reader of the file can know is whether a whole line is FreeSWITCH's own.
// With uuid=true, mod_logfile's default, a SIP Call-ID or display name can put
// complete lines into the log, a verto login can always, and so can any packet while
// a SIP trace runs; testdata/forged.log shows some. Such a line stands at most 2 KB
// behind one of a session, and its writer must guess what FreeSWITCH's clock, which
// goes in steps of 20 ms, shows at that moment: if its stamp does not fit the lines
// around it, it becomes a log_forgery against whoever's request was logged there
// (forgery = "detect", the default; see forgery.go). On recordings under attack that
// found every forged line that read as an event, and no true one.
//
// It cannot find a line whose writer guessed well. Who knows the host's time can
// come within the tolerance of one step, and more easily the less is logged: at a
// level above DEBUG nothing may stand behind his line that contradicts it. In an
// hour that comes twice, in a file's first lines, in a message that a syslog passed
// on, and for a login or a packet of more than some KB, nothing is compared; in such
// a login he can even have another named as the writer. That cannot be seen from the
// lines around it: mod_verto takes a login of any length, so that all of them, however
// many are looked at, may be of one login. And he can have a true line refused that is
// logged within 2 KB behind his own, or before a flood of it.
//
// So a log that is to be evidence by itself is written with uuid=false, and of
// sofia_reg.c, sofia.c and mod_event_socket.c at level warning and above only: at
// level debug FreeSWITCH writes Call-IDs and SDP as they come, whatever uuid says.
// Or every event is believed only if the event socket, which knows where a message
// ends, has reported the same: corroborate = source.esl.pbx. [Framed] reads the log
// as that socket sends it.
package logfile
