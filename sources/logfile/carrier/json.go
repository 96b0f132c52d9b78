package carrier

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/sources/logfile/record"
)

// dockerPart is by how many bytes Docker divides a line. Other programs write records
// of the same form without line breaks.
const dockerPart = 16 << 10

// dockerJSON parses a record of Docker's json-file driver. A long line is divided into
// several records, of which the last one alone ends in a line break.
func dockerJSON(line string) (p piece, ok bool) {
	var r struct {
		Log    *string `json:"log"`
		Stream string  `json:"stream"`
		Time   string  `json:"time"`
	}
	if !decode(line, `"log"`, &r) || r.Log == nil {
		return p, false
	}
	p.text, p.stream = *r.Log, r.Stream
	p.at, _ = time.Parse(time.RFC3339Nano, r.Time)
	p.part = !strings.HasSuffix(p.text, "\n") && len(p.text) >= dockerPart
	return p, true
}

// journalJSON parses an entry as journalctl -o json writes it. A message that is not
// UTF-8 is an array of its bytes.
func journalJSON(line string) (p piece, ok bool) {
	var r struct {
		Message json.RawMessage `json:"MESSAGE"`
		Micros  string          `json:"__REALTIME_TIMESTAMP"`
		Host    string          `json:"_HOSTNAME"`
		Program string          `json:"SYSLOG_IDENTIFIER"`
	}
	if !decode(line, `"MESSAGE"`, &r) || r.Message == nil {
		return p, false
	}
	if json.Unmarshal(r.Message, &p.text) != nil {
		var bytes []byte
		if json.Unmarshal(r.Message, &bytes) != nil {
			return p, false
		}
		p.text = string(bytes)
	}
	if micros, err := strconv.ParseInt(r.Micros, 10, 64); err == nil {
		p.at = time.UnixMicro(micros)
	}
	p.writer = r.Host + " " + r.Program
	return p, true
}

// consoleJSON parses a message as FreeSWITCH's mod_console writes it with json=true.
func consoleJSON(line string) (p piece, ok bool) {
	var r struct {
		Message *string     `json:"full_message"`
		Time    json.Number `json:"timestamp"`
		Level   int         `json:"level"`
		Session string      `json:"uuid"`
		File    string      `json:"file"`
		Line    int         `json:"line"`
	}
	if !decode(line, `"full_message"`, &r) || r.Message == nil || r.Level < 0 || r.Level >= len(record.LevelNames) {
		return p, false
	}
	micros, err := r.Time.Float64()
	if err != nil {
		return p, false
	}
	if micros < 1e12 {
		micros *= 1e6 // seconds, as in GELF
	}
	head := fmt.Sprintf("%s [%s] ", time.UnixMicro(int64(micros)).UTC().Format(record.ZonedLayout), record.LevelNames[r.Level])
	if r.Session != "" {
		head = r.Session + " " + head
	}
	if r.File != "" {
		head += fmt.Sprintf("%s:%d ", r.File, r.Line)
	}
	if !hasHeader(head) {
		return p, false
	}
	p.text = head + *r.Message
	return p, true
}

// decode decodes a line that has a key.
func decode(line, key string, into any) bool {
	return strings.HasPrefix(line, "{") && strings.Contains(line, key) && json.Unmarshal([]byte(line), into) == nil
}
