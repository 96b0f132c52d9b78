package record

import "strings"

// A Header is what FreeSWITCH writes in front of a message:
//
//	[<uuid> ]YYYY-MM-DD HH:MM:SS.uuuuuu[ NN.NN%] [LEVEL] file.c:LINE[ func()] message
//
// Its texts are parts of the line.
type Header struct {
	Stamp   Stamp
	Idle    string // the share of idle CPU time with its blank; empty before 1.10.7
	Level   string // normalised: WARNING, ERR, …
	File    string // the source file; empty where the line names none
	Session bool   // the line has the UUID of a session
	Message int    // where the message begins in the line
}

// ParseHeader reads the header at the first byte of a line. White space in front
// of it is not accepted: it is what a folded SIP header leaves behind a line break
// that an attacker writes.
func ParseHeader(line string) (h Header, ok bool) {
	uuid := UUIDLength(line)
	h.Session = uuid > 0
	i, ok := h.Stamp.parse(line, uuid)
	if !ok || !byteAt(line, i, ' ') {
		return h, false
	}
	idle := i + 1
	i = SkipIdle(line, idle)
	h.Idle = line[idle:i]
	if h.Level, i, ok = parseLevel(line, i); !ok {
		return h, false
	}
	h.File, i = parseFile(line, i)
	h.Message = SkipFunction(line, i)
	return h, true
}

// sessionCut is the length from which on FreeSWITCH cuts the lines of a session, in
// bytes.
const sessionCut = 2046

// MayBeCut reports whether the end of the line may be missing. An attacker could
// then choose where it ends.
func (h *Header) MayBeCut(line string) bool { return h.Session && len(line) >= sessionCut }

func byteAt(s string, i int, b byte) bool { return i < len(s) && s[i] == b }

// IsDigit reports whether b is a decimal digit.
func IsDigit(b byte) bool { return b-'0' < 10 }

// IsHex reports whether b is a hexadecimal digit.
func IsHex(b byte) bool { return IsDigit(b) || (b|0x20)-'a' < 6 }

// IsWord reports whether b is a byte of an identifier.
func IsWord(b byte) bool { return IsDigit(b) || (b|0x20)-'a' < 26 || b == '_' }

// uuidEnd is the length of a UUID.
const uuidEnd = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")

// WithoutSession returns a line without the session's UUID. A line that may be cut off
// keeps it.
func WithoutSession(line string) string {
	if h, _ := ParseHeader(line); h.MayBeCut(line) {
		return line
	}
	return line[UUIDLength(line):]
}

// UUIDLength returns the length of the session's UUID at the start of a line and of
// the blank behind it, or 0.
func UUIDLength(s string) int {
	if UUID(s) == "" {
		return 0
	}
	sum := 0
	for i := range uuidEnd {
		sum += int(uuidBytes[s[i]])
	}
	if sum != 4 {
		return 0
	}
	return uuidEnd + 1
}

// uuidBytes counts the dashes of a UUID: 1 for a dash, 0 for a hexadecimal digit, and
// too many for any other byte. It is a table because many lines are searched for one.
var uuidBytes = func() (table [256]uint8) {
	for b := range table {
		if !IsHex(byte(b)) {
			table[b] = 5
		}
	}
	table['-'] = 1
	return table
}()

// IsSessions reports whether a line that has a [UUID] begins as FreeSWITCH writes it for a session, and not
// as a line of another program may begin: with eight hexadecimal digits, and behind the UUID with no
// name of a process ("freeswitch[812]") nor a bar.
func IsSessions(s string) bool {
	if uuidBytes[s[0]]|uuidBytes[s[1]]|uuidBytes[s[2]]|uuidBytes[s[3]]|uuidBytes[s[4]]|uuidBytes[s[5]]|uuidBytes[s[6]]|uuidBytes[s[7]] != 0 {
		return false
	}
	for i := uuidEnd + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '[':
			return false
		case c <= ' ':
			return i > uuidEnd+1
		case c == '|' && i == uuidEnd+1:
			return false
		}
	}
	return true
}

// UUID returns the text in place of a session's UUID, "" if there is none. It compares
// the dashes and the blank alone: an attacker can invent a UUID anyway.
func UUID(s string) string {
	if len(s) <= uuidEnd || s[uuidEnd] != ' ' || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ""
	}
	return s[:uuidEnd]
}

// SkipIdle skips the share of idle CPU time, "97.53% ".
func SkipIdle(s string, i int) int {
	end := i
	for end < len(s) && (IsDigit(s[end]) || s[end] == '.') {
		end++
	}
	if end > i && byteAt(s, end, '%') && byteAt(s, end+1, ' ') {
		return end + 2
	}
	return i
}

// Level returns a level as FreeSWITCH 1.10 spells it; "" if it is none.
func Level(spelled string) string {
	for _, name := range LevelNames {
		if name == spelled {
			return name
		}
	}
	switch spelled {
	case "CRITICAL":
		return "CRIT"
	case "ERROR":
		return "ERR"
	case "WARN":
		return "WARNING"
	case Other:
		return Other
	}
	return ""
}

// Other is the level of a message of another program, which has no header of
// FreeSWITCH's. Package carrier writes it.
const Other = "OTHER"

// LevelNames are the normalised levels, most severe first.
var LevelNames = []string{"CONSOLE", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"}

// parseLevel reads "[WARNING] ". DEBUG1 to DEBUG10 are DEBUG.
func parseLevel(s string, i int) (level string, next int, ok bool) {
	if !byteAt(s, i, '[') {
		return "", 0, false
	}
	end := i + 1
	for end < len(s) && s[end]-'A' < 26 {
		end++
	}
	if level = Level(s[i+1 : end]); level == "" {
		return "", 0, false
	}
	for level == "DEBUG" && end < len(s) && IsDigit(s[end]) {
		end++
	}
	if !byteAt(s, end, ']') || !byteAt(s, end+1, ' ') {
		return "", 0, false
	}
	return level, end + 2, true
}

// parseFile reads "sofia_reg.c:1787 ", or "[SOFIA] [sofia_reg.c:4130] " as some
// builds write it. Where a line names no file, such as a script's, the message
// begins at once.
func parseFile(s string, i int) (file string, next int) {
	if name, after, ok := fileAndLine(s, i); ok && byteAt(s, after, ' ') {
		return name, after + 1
	}
	at := i
	if byteAt(s, at, '[') {
		end := skipWord(s, at+1)
		if end > at+1 && byteAt(s, end, ']') && byteAt(s, end+1, ' ') {
			at = end + 2
		}
	}
	if byteAt(s, at, '[') {
		if name, after, ok := fileAndLine(s, at+1); ok && byteAt(s, after, ']') && byteAt(s, after+1, ' ') {
			return name, after + 2
		}
	}
	return "", i
}

// fileAndLine reads "sofia_reg.c:1787".
func fileAndLine(s string, i int) (file string, next int, ok bool) {
	colon := i
	for colon < len(s) && (IsWord(s[colon]) || s[colon] == '.' || s[colon] == '-' || s[colon] == '/' || s[colon] == '+') {
		colon++
	}
	end := colon + 1
	for end < len(s) && IsDigit(s[end]) {
		end++
	}
	if colon == i || !byteAt(s, colon, ':') || end == colon+1 {
		return "", 0, false
	}
	return s[i:colon], end, true
}

// SkipFunction skips "sofia_reg_handle_register_token() ", which builds with
// SWITCH_FUNC_IN_LOG write.
func SkipFunction(s string, i int) int {
	end := skipWord(s, i)
	if end > i && strings.HasPrefix(s[end:], "() ") {
		return end + 3
	}
	return i
}

func skipWord(s string, i int) int {
	for i < len(s) && IsWord(s[i]) {
		i++
	}
	return i
}
