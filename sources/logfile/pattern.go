package logfile

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
)

// A pattern is a pasted message with holes, compiled: literals with holes
// between them, anchored at both ends of the message's first line.
type pattern struct {
	event string // the name of the event it makes
	file  string // the source file that must have written the line; "": any
	level string // the level it must have; "": any
	text  string // as written, without the header that was pasted with it

	lits  []string // one more than holes; only the first and the last may be empty
	holes []hole
	addr  int        // the hole that takes the address, or -1
	sets  []constant // what <name:literal> says
}

// A hole is where the message varies.
type hole struct {
	name string
	kind holeKind
	// foreign marks what a caller may have written: it takes up the slack where
	// a line can be divided in several ways.
	foreign bool
}

type holeKind uint8

const (
	textHole     holeKind = iota // any text without a line break, also none
	addrHole                     // an address as event.ParseAddr reads it
	addrPortHole                 // <ip>:<port>: the last ":digits" is the port
	portHole                     // a decimal number below 65536
)

// A constant is the value that a field has whenever the pattern matches.
type constant struct{ name, value string }

// maxHoles bounds a pattern, so that a match needs no allocation.
const maxHoles = 16

// textFields are the texts of an event that a hole may set, by name. Any other name
// but ip and port is a raw field.
var textFields = func() map[string]func(*event.Event) *string {
	fields := map[string]func(*event.Event) *string{}
	for _, f := range event.Fields {
		if f.At != nil && !slices.Contains(fixedFields, f.Name) {
			fields[f.Name] = f.At
		}
	}
	return fields
}()

// fixedFields are the parts of an event that do not come out of the message.
var fixedFields = []string{"event", "source", "time", "level", "file", "message", "repeat", "fields"}

// ownFields are the fields whose text FreeSWITCH or its operator chose. Nobody
// else can make one of them longer than it is.
var ownFields = []string{"profile", "method", "transport", "acl", "channel", "count", "filter", "version"}

// A problem is a mistake in a pattern, in words for a diagnostic.
type problem struct{ summary, detail string }

// compile makes a pattern of a pasted message.
//
//   - <name> is a hole that becomes the field of that name, or a raw field.
//   - <name:literal> matches the literal and sets the field to it.
//   - <ip>:<port> together take an address with its port, also an IPv6 address
//     without brackets, as FreeSWITCH prints it.
//   - A < that does not begin one of these is itself, and so is that of a SIP
//     address (<sip:…>, <sips:…>, <tel:…>). Every other <word> is a hole, and
//     one of a field's name must be closed.
//   - A header that was pasted along with the message is left out.
//
// It reports every mistake that it finds.
func compile(name, line string) (pattern, []problem) {
	text := strings.TrimSuffix(line, "\n")
	if h, ok := parseHeader(text); ok {
		text = text[h.message:]
	}
	c := compiler{pattern: pattern{event: name, text: text, addr: -1}, lit: ""}
	if strings.ContainsAny(text, "\r\n") {
		c.problem("Pattern of several lines", "A pattern is compared with the first line of a message. Leave out the lines that follow it.")
		return c.pattern, c.problems
	}
	c.tokens(text)
	c.pattern.lits = append(c.pattern.lits, c.lit)
	c.joinPort()
	c.check()
	return c.pattern, c.problems
}

type compiler struct {
	pattern  pattern
	lit      string // the literal text since the last hole
	names    []string
	problems []problem
}

func (c *compiler) problem(summary, format string, args ...any) {
	c.problems = append(c.problems, problem{summary, fmt.Sprintf(format, args...)})
}

// tokens cuts the text into literals and holes.
func (c *compiler) tokens(text string) {
	for text != "" {
		open := strings.IndexByte(text, '<')
		if open < 0 {
			c.lit += text
			return
		}
		c.lit += text[:open]
		text = text[open:]
		name, literal, fixed, length := token(text)
		switch {
		case length == 0:
			c.unclosed(text)
			c.lit += "<"
			length = 1
		case fixed:
			c.constant(name, literal)
			c.lit += literal
		default:
			c.hole(name)
		}
		text = text[length:]
	}
}

// unclosed reports a < that begins a hole and does not end it: the pattern would match
// nothing that FreeSWITCH writes.
func (c *compiler) unclosed(s string) {
	end := 1
	for end < len(s) && isWord(s[end]) {
		end++
	}
	if name := s[1:end]; slices.Contains(holeNames(), name) {
		c.problem("Hole that is not closed", "Nothing closes <%s. Write <%s>; where the message itself holds this text, put a hole of your own in its place.", name, name)
	}
}

// token reads "<name>" or "<name:literal>" at the start of s. The length is 0
// where there is neither.
func token(s string) (name, literal string, fixed bool, length int) {
	i := 1
	for i < len(s) && isWord(s[i]) {
		i++
	}
	name = s[1:i]
	if name == "" || isDigit(name[0]) || i == len(s) {
		return "", "", false, 0
	}
	if s[i] == '>' {
		return name, "", false, i + 1
	}
	if s[i] != ':' || name == "sip" || name == "sips" || name == "tel" {
		return "", "", false, 0
	}
	end := strings.IndexAny(s[i+1:], "<>")
	if end < 0 || s[i+1+end] == '<' {
		return "", "", false, 0
	}
	return name, s[i+1 : i+1+end], true, i + 1 + end + 1
}

func (c *compiler) constant(name, literal string) {
	if !c.name(name) {
		return
	}
	switch {
	case name == "ip" || name == "port":
		c.problem("Fixed address", "<%s:%s> is always the same. Write <%s> where the address stands, or the bare text where it only identifies the line.", name, literal, name)
	case literal == "":
		c.problem("Empty value", "<%s:> sets %q to nothing. Put the text behind the colon, or write <%s> where it varies.", name, name, name)
	}
	c.pattern.sets = append(c.pattern.sets, constant{name, literal})
}

func (c *compiler) hole(name string) {
	c.name(name)
	h := hole{name: name, foreign: !slices.Contains(ownFields, name)}
	switch name {
	case "ip":
		h.kind, c.pattern.addr = addrHole, len(c.pattern.holes)
	case "port":
		h.kind = portHole
	}
	if c.lit == "" && len(c.pattern.holes) > 0 {
		last := c.pattern.holes[len(c.pattern.holes)-1].name
		c.problem("Holes without text between them", "Nothing tells where <%s> ends and <%s> begins. Put the text that stands between them, or make them one.", last, name)
	}
	c.pattern.holes = append(c.pattern.holes, h)
	c.pattern.lits = append(c.pattern.lits, c.lit)
	c.lit = ""
}

// name checks the name of a hole or a constant and reports whether it may be one.
func (c *compiler) name(name string) bool {
	defer func() { c.names = append(c.names, name) }()
	_, known := textFields[name]
	known = known || name == "ip" || name == "port"
	switch {
	case slices.Contains(c.names, name):
		c.problem("Field named twice", "<%s> stands twice in the pattern; one line gives a field one value. Give one of them another name.", name)
	case slices.Contains(fixedFields, name):
		c.problem("Field that no message holds", "%q is told by the line's header or by the source, not by the message. Choose another name.", name)
	case known:
		return true
	case !isName(name):
		c.problem("Bad field name", "%q is not a field name: write small letters, digits and underscores, a letter first.%s", name, event.DidYouMean(strings.ToLower(name), holeNames()))
	default:
		if suggestion := event.Mistyped(name, holeNames()); suggestion != "" {
			c.problem("Unknown field", "There is no field %q. Did you mean %q? A field of your own needs a name that is less like it.", name, suggestion)
			return false
		}
		return true
	}
	return false
}

// joinPort makes one hole of <ip>:<port>.
func (c *compiler) joinPort() {
	p := &c.pattern
	if p.addr < 0 || p.addr+1 >= len(p.holes) || p.holes[p.addr+1].kind != portHole || p.lits[p.addr+1] != ":" {
		return
	}
	p.holes[p.addr].kind = addrPortHole
	p.holes = slices.Delete(p.holes, p.addr+1, p.addr+2)
	p.lits = slices.Delete(p.lits, p.addr+1, p.addr+2)
}

func (c *compiler) check() {
	p := &c.pattern
	if len(p.holes) > maxHoles {
		c.problem("Too many holes", "The pattern has %d holes; %d at the most.", len(p.holes), maxHoles)
	}
	if strings.Join(p.lits, "") == "" {
		c.problem("Pattern without text", "Some of the message must be fixed, or the pattern would match every line.")
	}
}

// holeNames are the names that a hole may bear without being a raw field.
func holeNames() []string {
	names := make([]string, 0, len(event.FieldNames))
	for _, name := range event.FieldNames {
		if !slices.Contains(fixedFields, name) {
			names = append(names, name)
		}
	}
	return names
}

// raw are the raw fields that the pattern can set.
func (p *pattern) raw() []string {
	var names []string
	add := func(name string) {
		if _, known := textFields[name]; !known && name != "ip" && name != "port" {
			names = append(names, name)
		}
	}
	for _, h := range p.holes {
		add(h.name)
	}
	for _, s := range p.sets {
		add(s.name)
	}
	return names
}
