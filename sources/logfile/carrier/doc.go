// Package carrier unwraps FreeSWITCH's lines from what other programs write around
// them: container runtimes, syslog, the journal, a coloured console, JSON.
//
// It stands in front of everything else that reads the log. [Recognise] decides once,
// by the first lines of a file, whether the file has a carrier. A plain file is then
// read as it is. For another, an [Unwrapper] turns each line into the lines of a plain
// log. Such a file may hold lines of any carrier of the table and plain ones. A
// carrier within a carrier is not unwrapped, but for colours and FreeSWITCH's own JSON.
//
// Invariant: what one line of a carrier holds becomes one line that can begin a
// record, and further lines that cannot. So a line break that an attacker writes into
// a message gives it a line of its own only where the carrier itself divides there.
//
// # Forged lines
//
//	carrier                         what an attacker can write
//	Docker, CRI, docker logs,       the same as into a plain log: each line is carried by itself.
//	console colours, journal JSON   Its stamp is compared as there; see package forgery.
//	docker compose logs             the same, but stamps are not compared: the lines of
//	                                several services are mixed
//	syslog, journalctl -o short     no line of its own if line breaks are escaped (#012) or
//	                                indented, as rsyslog and journalctl do. syslog-ng keeps
//	                                them, and standard output in the journal is divided
//	                                there: then any line. So can a caller whose text another
//	                                program writes at the beginning of a message. Stamps are
//	                                not compared: a relay may change the order of lines
//	console JSON                    nothing: a message has its own frame
//
// A caller cannot choose the carrier of a file: in a plain file a line that has one
// is no evidence.
//
// # Times
//
// If the carrier tells a time with its zone and FreeSWITCH's stamp has none, the zone
// follows from both, and FreeSWITCH's time counts. If they differ by more than
// two minutes beside whole quarters of an hour, the carrier's time counts.
package carrier
