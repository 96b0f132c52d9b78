package logfile

import "strings"

// A header is what FreeSWITCH puts in front of a message:
//
//	[<uuid> ]YYYY-MM-DD HH:MM:SS.uuuuuu[ NN.NN%] [LEVEL] file.c:LINE[ func()] message
//
// and what others put in front of that: a syslog or journal prefix.
type header struct {
	stamp    stamp
	idle     string // the share of idle CPU time as written, with its blank; empty before 1.10.7
	level    string // normalised: WARNING, ERR, …
	file     span   // where the source file's name stands; empty where the line names none
	prefixed bool   // the line bears a syslog or journal prefix
	session  bool   // the line bears the UUID of a call
	message  int    // where the message begins in the line
}

// parseHeader reads the header of a line. It must stand at column 0: an attacker
// can get a line break into the log, but a folded SIP header leaves a space or a
// tab behind it. It decides by the header alone: what follows never matters, so
// that a line which was not read to its end yet is judged as it will be then.
func parseHeader(line string) (h header, ok bool) {
	outer, i := parsePrefix(line)
	h.prefixed = i > 0
	uuid := uuidLength(line[i:])
	h.session = uuid > 0
	i, ok = h.stamp.parse(line, i+uuid)
	if !ok || !byteAt(line, i, ' ') {
		return h, false
	}
	if outer.zoned {
		h.stamp = outer
	}
	idle := i + 1
	i = skipIdle(line, idle)
	h.idle = line[idle:i]
	if h.level, i, ok = parseLevel(line, i); !ok {
		return h, false
	}
	h.file, i = parseFile(line, i)
	h.message = skipFunction(line, i)
	return h, true
}

// Lines of these lengths, in bytes, may be the beginning of longer ones:
// FreeSWITCH cuts what it writes of a session, and syslog what it passes on
// (RFC 3164 bids it do so at 1024; some go further).
const (
	sessionCut = 2046
	prefixCut  = 1000
)

// mayBeCut reports whether the end of the line may be missing. A caller could
// then have had it end where a text of his own looks like the end.
func (h *header) mayBeCut(line string) bool {
	return h.session && len(line) >= sessionCut || h.prefixed && len(line) >= prefixCut
}

func byteAt(s string, i int, b byte) bool { return i < len(s) && s[i] == b }

func isDigit(b byte) bool { return b-'0' < 10 }

func isHex(b byte) bool { return hexDigits[b] }

// hexDigits is a table because UUIDs are looked for in many lines.
var hexDigits = func() (table [256]bool) {
	for _, b := range []byte("0123456789abcdefABCDEF") {
		table[b] = true
	}
	return table
}()

// isWord tells the bytes of identifiers and file names.
func isWord(b byte) bool { return isDigit(b) || (b|0x20)-'a' < 26 || b == '_' }

// uuidLength is the length of the session's UUID and the space behind it, or 0.
func uuidLength(s string) int {
	const length = 36
	if len(s) <= length || s[length] != ' ' || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return 0
	}
	dashes := 0
	for i := range length {
		if !isHex(s[i]) {
			dashes++
			if s[i] != '-' {
				return 0
			}
		}
	}
	if dashes != 4 {
		return 0
	}
	return length + 1
}

// skipIdle skips the share of idle CPU time, "97.53% ", which FreeSWITCH writes
// since 1.10.7.
func skipIdle(s string, i int) int {
	end := i
	for end < len(s) && (isDigit(s[end]) || s[end] == '.') {
		end++
	}
	if end > i && byteAt(s, end, '%') && byteAt(s, end+1, ' ') {
		return end + 2
	}
	return i
}

// levels gives every word that was seen for a level the one that 1.10 writes.
var levels = map[string]string{
	"CONSOLE": "CONSOLE", "ALERT": "ALERT", "CRIT": "CRIT", "CRITICAL": "CRIT", "ERR": "ERR", "ERROR": "ERR",
	"WARNING": "WARNING", "WARN": "WARNING", "NOTICE": "NOTICE", "INFO": "INFO", "DEBUG": "DEBUG",
}

// levelNames are the normalised levels, gravest first.
var levelNames = []string{"CONSOLE", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"}

// parseLevel reads "[WARNING] ". The finer debug levels, DEBUG1 to DEBUG10,
// are DEBUG.
func parseLevel(s string, i int) (level string, next int, ok bool) {
	if !byteAt(s, i, '[') {
		return "", 0, false
	}
	end := i + 1
	for end < len(s) && s[end]-'A' < 26 {
		end++
	}
	if level, ok = levels[s[i+1:end]]; !ok {
		return "", 0, false
	}
	for level == "DEBUG" && end < len(s) && isDigit(s[end]) {
		end++
	}
	if !byteAt(s, end, ']') || !byteAt(s, end+1, ' ') {
		return "", 0, false
	}
	return level, end + 2, true
}

// parseFile reads "sofia_reg.c:1787 ", or "[SOFIA] [sofia_reg.c:4130] " as some
// builds write it. A line that names no file, such as a script's, gets none and
// its message begins where the file would.
func parseFile(s string, i int) (file span, next int) {
	if name, after, ok := fileAndLine(s, i); ok && byteAt(s, after, ' ') {
		return name, after + 1
	}
	at := i
	if byteAt(s, at, '[') {
		end := at + 1
		for end < len(s) && isWord(s[end]) {
			end++
		}
		if end > at+1 && byteAt(s, end, ']') && byteAt(s, end+1, ' ') {
			at = end + 2
		}
	}
	if byteAt(s, at, '[') {
		if name, after, ok := fileAndLine(s, at+1); ok && byteAt(s, after, ']') && byteAt(s, after+1, ' ') {
			return name, after + 2
		}
	}
	return span{}, i
}

// fileAndLine reads "sofia_reg.c:1787".
func fileAndLine(s string, i int) (file span, next int, ok bool) {
	colon := i
	for colon < len(s) && (isWord(s[colon]) || s[colon] == '.' || s[colon] == '-' || s[colon] == '/' || s[colon] == '+') {
		colon++
	}
	end := colon + 1
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	if colon == i || !byteAt(s, colon, ':') || end == colon+1 {
		return span{}, 0, false
	}
	return span{i, colon}, end, true
}

// skipFunction skips "sofia_reg_handle_register_token() ", which builds with
// SWITCH_FUNC_IN_LOG write.
func skipFunction(s string, i int) int {
	end := i
	for end < len(s) && isWord(s[end]) {
		end++
	}
	if end > i && strings.HasPrefix(s[end:], "() ") {
		return end + 3
	}
	return i
}
