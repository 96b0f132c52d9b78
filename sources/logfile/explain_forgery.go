package logfile

import (
	"fmt"
	"strings"
)

// explainForgeries says of each line that is taken for a forgery what speaks
// against it. That shows only if the lines around it were given as well.
func (d *decoder) explainForgeries(b *strings.Builder, input []byte) {
	if !d.detect {
		return
	}
	number := 0
	for rest := input; len(rest) > 0; {
		number++
		at := len(input) - len(rest)
		var line string
		line, rest = d.cut(rest)
		f, found, _ := d.decode(line, rest)
		if !found || !f.event.IP.IsValid() {
			continue
		}
		v := vicinity{before: input[:at], line: line, length: len(input) - len(rest) - at, behind: rest}
		if s := d.suspect(&f.header, &v); s.doubt != noDoubt {
			s.explain(b, number, f.event.Name)
		}
	}
}

func (s *suspicion) explain(b *strings.Builder, number int, name string) {
	fmt.Fprintf(b, "Line %d is taken for a forgery, not for %s: ", number, name)
	switch s.doubt {
	case tooEarly:
		b.WriteString("a session wrote a line before it that is stamped later,")
	case tooLate:
		b.WriteString("the line behind it is stamped earlier,")
	case otherIdle:
		b.WriteString("the lines before and behind it were written at the same moment and tell another idle time,")
	case insideLogin:
		b.WriteString("it stands in the user name of a verto login,")
	case insideTrace:
		b.WriteString("it stands in a packet that a SIP trace shows,")
	}
	fmt.Fprintf(b, "\n  %q\n", s.against)
	if s.sender.IsValid() {
		fmt.Fprintf(b, "It was written by %s, whose request FreeSWITCH was logging there.\n", s.sender)
	} else {
		b.WriteString("Who wrote it cannot be told for certain from the lines that are given.\n")
	}
}
