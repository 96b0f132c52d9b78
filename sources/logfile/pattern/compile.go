package pattern

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
	"freeswitch-security/sources/logfile/record"
)

// A Problem is a mistake in a pattern, in words for a diagnostic.
type Problem struct{ Summary, Detail string }

// Compile makes a pattern of a pasted message, for events of a name.
//
//   - <name> is a hole that sets the field of that name, or a raw field.
//   - <name:literal> matches the literal and sets the field to it.
//   - <ip>:<port> takes an address with its port, also an IPv6 address without
//     brackets, as FreeSWITCH prints it.
//   - A < that begins none of these is itself, and so is that of a SIP address
//     (<sip:…>, <sips:…>, <tel:…>). Every other <word> is a hole. The name of a
//     field behind a < must be closed.
//   - A header that was pasted with the message is left out.
//
// It reports all mistakes.
func Compile(name, line string) (Pattern, []Problem) {
	text := strings.TrimSuffix(line, "\n")
	if h, ok := record.ParseHeader(text); ok {
		text = text[h.Message:]
	}
	c := compiler{pattern: Pattern{Event: name, Text: text, addr: -1}}
	if strings.ContainsAny(text, "\r\n") {
		c.problem("Pattern of several lines", "A pattern is compared with the first line of a message. Remove the lines that follow it.")
		return c.pattern, c.problems
	}
	c.tokens(text)
	c.pattern.lits = append(c.pattern.lits, c.lit)
	c.pattern.last = c.lit == "" && c.pattern.addr >= 0 && c.pattern.addr == len(c.pattern.holes)-1 && strings.HasSuffix(c.pattern.lits[c.pattern.addr], " ")
	if n := len(c.pattern.holes); n > maxHoles {
		c.problem("Too many holes", "The pattern has %d holes; the maximum is %d.", n, maxHoles)
	}
	if strings.Join(c.pattern.lits, "") == "" {
		c.problem("Pattern without text", "Part of the message must be fixed, or the pattern would match every line.")
	}
	return c.pattern, c.problems
}

// MustCompile is Compile for a built-in pattern. It panics on a mistake.
func MustCompile(name, line string) Pattern {
	p, problems := Compile(name, line)
	if len(problems) > 0 {
		panic("pattern " + line + ": " + problems[0].Detail)
	}
	return p
}

type compiler struct {
	pattern  Pattern
	lit      string // the literal text since the last hole
	names    []string
	problems []Problem
}

func (c *compiler) problem(summary, format string, args ...any) {
	c.problems = append(c.problems, Problem{summary, fmt.Sprintf(format, args...)})
}

// token is <name> or <name:literal>, and word a < in front of a name.
var (
	token = regex.New(`<([A-Za-z_]\w*)(?:(:)([^<>]*))?>`)
	word  = regex.New(`<(\w+)`)
)

// schemes are the names that do not make a token of a SIP address.
var schemes = []string{"sip", "sips", "tel"}

// tokens divides the text into literals and holes.
func (c *compiler) tokens(text string) {
	end := 0
	for _, t := range token.Use().FindAllStringSubmatchIndex(text, -1) {
		name, fixed := text[t[2]:t[3]], t[4] >= 0
		if fixed && slices.Contains(schemes, name) {
			continue
		}
		c.literal(text[end:t[0]])
		if end = t[1]; fixed {
			c.constant(name, text[t[6]:t[7]])
			c.lit += text[t[6]:t[7]]
		} else {
			c.hole(name)
		}
	}
	c.literal(text[end:])
}

// literal adds text without tokens. A < in front of the name of a field is a mistake:
// FreeSWITCH writes nothing that the pattern would match.
func (c *compiler) literal(text string) {
	c.lit += text
	for _, w := range word.Use().FindAllStringSubmatch(text, -1) {
		if name := w[1]; slices.Contains(holeNames(), name) {
			c.problem("Hole that is not closed", "<%s is not closed. Write <%s>; if the message itself holds this text, put a hole of your own in its place.", name, name)
		}
	}
}

func (c *compiler) constant(name, literal string) {
	if !c.name(name) {
		return
	}
	switch {
	case name == "ip" || name == "port":
		c.problem("Fixed address", "<%s:%s> is always the same. Write <%s> where the address stands, or the bare text if it only identifies the line.", name, literal, name)
	case literal == "":
		c.problem("Empty value", "<%s:> sets %q to nothing. Put the text behind the colon, or write <%s> where it varies.", name, name, name)
	}
	c.pattern.sets = append(c.pattern.sets, constant{name, literal, textAt(name)})
}

func (c *compiler) hole(name string) {
	c.name(name)
	if n := len(c.pattern.holes); name == "port" && c.lit == ":" && n > 0 && c.pattern.holes[n-1].kind == addrHole {
		c.pattern.holes[n-1].kind, c.lit = addrPortHole, ""
		return
	}
	h := hole{name: name, at: textAt(name), foreign: !slices.Contains(trustedFields, name)}
	switch name {
	case "ip":
		h.kind, c.pattern.addr = addrHole, len(c.pattern.holes)
	case "port":
		h.kind = portHole
	}
	if c.lit == "" && len(c.pattern.holes) > 0 {
		last := c.pattern.holes[len(c.pattern.holes)-1].name
		c.problem("Holes without text between them", "It is not clear where <%s> ends and <%s> begins. Put the text that stands between them, or make them one hole.", last, name)
	}
	c.pattern.holes = append(c.pattern.holes, h)
	c.pattern.lits = append(c.pattern.lits, c.lit)
	c.lit = ""
}

// textAt returns the place of a text in an event, or nil.
func textAt(name string) func(*event.Event) *string {
	if f := field(name); f != nil {
		return f.At
	}
	return nil
}

// name checks the name of a hole or a constant.
func (c *compiler) name(name string) (ok bool) {
	problems := len(c.problems)
	switch {
	case slices.Contains(c.names, name):
		c.problem("Field named twice", "<%s> occurs twice in the pattern; a line gives a field one value. Rename one of them.", name)
	case slices.Contains(headerFields, name):
		c.problem("Field that no message holds", "%q comes from the line's header or from the source, not from the message. Choose another name.", name)
	case field(name) != nil:
	case name == "HOST": // fail2ban's
		c.problem("Bad field name", "The address of a line is written <ip>, in place of fail2ban's <HOST>.")
	case !IsName(name):
		c.problem("Bad field name", "%q is not a field name: write small letters, digits and underscores, a letter first.%s", name, event.DidYouMean(strings.ToLower(name), holeNames()))
	default:
		if suggestion := event.Mistyped(name, holeNames()); suggestion != "" {
			c.problem("Unknown field", "There is no field %q. Did you mean %q? A field of your own needs a name that is less like it.", name, suggestion)
		}
	}
	c.names = append(c.names, name)
	return len(c.problems) == problems
}

var identifier = regex.New(`^[a-z][a-z0-9_]*$`)

// IsName reports whether s is an identifier of a rule file.
func IsName(s string) bool { return identifier.Use().MatchString(s) }
