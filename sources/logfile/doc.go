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
// What no reader of the file can keep is that a whole line is FreeSWITCH's own.
// With uuid=true, mod_logfile's default, a SIP Call-ID can put complete lines
// into the log, and a verto login can always; testdata/forged.log shows one. A
// log that is to be evidence is written with uuid=false, and of sofia_reg.c,
// sofia.c and mod_event_socket.c at level warning and above only: at level debug
// FreeSWITCH writes Call-IDs and SDP as they come, whatever uuid says.
package logfile
