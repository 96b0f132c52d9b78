package carrier

import (
	"strings"
	"time"

	"freeswitch-security/sources/logfile/record"
)

// A Carrier is a form in which a log holds FreeSWITCH's lines.
type Carrier struct {
	Name string // for people

	// Compared tells that the lines stand in the order in which FreeSWITCH wrote them,
	// so that their stamps can be compared.
	Compared bool

	parse func(line string) (piece, bool)
	key   string // of the message in a line of JSON
	weak  bool   // other lines look like it too: it is recognised only in front of a header
}

// A piece is what one line of a carrier holds.
type piece struct {
	text   string    // of FreeSWITCH's log
	at     time.Time // zero: the carrier tells no time with a zone
	local  string    // the time without a zone, as FreeSWITCH writes it; "" if there is none
	writer string    // the host and program; "" if the carrier has one writer only
	stream string    // of the program, for parts
	part   bool      // the text goes on in the next piece of the stream
	syslog bool      // line breaks are escaped, and the end may be cut off
	stamp  int       // of what stands in front of the writer
	width  int       // of what stands in front of the text; further lines are indented by it
}

// table holds the carriers in the order in which a line is compared with them.
var table = []*Carrier{
	{Name: "the json-file log of Docker", Compared: true, parse: dockerJSON, key: `"log":`},
	{Name: "the journal's JSON (journalctl -o json)", Compared: true, parse: journalJSON, key: `"MESSAGE":`},
	{Name: "the JSON of FreeSWITCH's console (mod_console)", parse: consoleJSON, key: `"full_message":`},
	{Name: "the log of a Kubernetes container (CRI)", Compared: true, parse: matching(cri)},
	{Name: "syslog (RFC 5424)", parse: matching(rfc5424)},
	{Name: "syslog or journalctl", parse: matching(syslog)},
	{Name: "docker compose logs", parse: matching(compose), weak: true},
	{Name: "docker logs -t", Compared: true, parse: matching(timed)},
	{Name: "syslog without time", parse: matching(untimed), weak: true},
}

// colours is the carrier of lines that are plain but for their colours.
var colours = &Carrier{Name: "a coloured console", Compared: true}

// Recognise returns the carrier of a file that begins with head; nil if the file is
// plain, or no line of it has a known form. The first line decides, because a file
// does not begin with a line of an attacker, unless most lines are plain.
func Recognise(head []byte) *Carrier {
	var first *Carrier
	plain, carried := 0, 0
	for line := range strings.Lines(string(head)) {
		c, known := Form(strings.TrimRight(line, "\r\n"))
		switch {
		case !known:
		case c == nil && carried == 0:
			return nil
		case c == nil:
			plain++
		default:
			if carried++; carried == 1 {
				first = c
			}
		}
	}
	if plain > carried {
		return nil
	}
	if first == nil && plain == 0 {
		return longJSON(string(head))
	}
	return first
}

// longJSON returns the carrier of a file whose first line is JSON that does not end in
// head. An attacker can make it that long.
func longJSON(head string) *Carrier {
	if len(head) < headLength || head[0] != '{' || strings.Contains(head, "\n") {
		return nil
	}
	for _, c := range table {
		if c.key != "" && strings.Contains(head, c.key) {
			return c
		}
	}
	return nil
}

// Form returns the carrier of one line, nil if it is plain. It reports false if the
// line has neither a carrier nor FreeSWITCH's header.
func Form(line string) (c *Carrier, known bool) {
	if hasHeader(line) {
		return nil, true
	}
	p, c := parse(line)
	if c == nil || (c.weak || c == colours) && !hasHeader(uncolour(p.text)) {
		return nil, false
	}
	return c, true
}

// parse compares a line with the table.
func parse(line string) (piece, *Carrier) {
	bare := uncolour(line)
	if hasHeader(bare) {
		return piece{text: bare}, colours
	}
	for _, c := range table {
		if p, ok := c.parse(bare); ok {
			return p, c
		}
	}
	if len(bare) < len(line) {
		return piece{text: line}, colours
	}
	return piece{}, nil
}

// PrefixLength returns the length of a prefix of the table in front of FreeSWITCH's
// header; 0 if the line has none.
func PrefixLength(line string) int {
	p, c := parse(line)
	if c == nil || !strings.HasSuffix(line, p.text) {
		return 0
	}
	length := len(line) - len(p.text)
	length += colourLength(p.text)
	if !hasHeader(line[length:]) {
		return 0
	}
	return length
}

func hasHeader(line string) bool {
	_, ok := record.ParseHeader(line)
	return ok
}
