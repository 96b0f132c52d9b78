package carrier

import (
	"strings"

	"freeswitch-security/sources/logfile/record"
)

// other appends a message of another program than FreeSWITCH, behind a header with a
// level of its own:
//
//	2026-05-03 21:30:11 [OTHER] FusionPBX: [203.0.113.5] authentication failed
//
// It appends nothing if the carrier tells no program or no time.
func other(dst []byte, p *piece, message string) []byte {
	stamp, program := p.local, programOf(p)
	if !p.at.IsZero() {
		stamp = p.at.UTC().Format(record.ZonedLayout)
	}
	if stamp == "" || program == "" {
		return dst
	}
	return append(dst, stamp+" ["+record.Other+"] "+program+": "+message+"\n"...)
}

func programOf(p *piece) string { return p.writer[strings.LastIndexByte(p.writer, ' ')+1:] }

// OtherText returns the message of a pasted line of another program as an Unwrapper
// gives it: "FusionPBX: …", without the time, the host and the process.
func OtherText(line string) string {
	if p, c := parse(line); c != nil && p.writer != "" {
		return programOf(&p) + ": " + p.text
	}
	return line
}
