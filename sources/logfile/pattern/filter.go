package pattern

import (
	"strings"

	"freeswitch-security/sources/logfile/record"
)

// A Filter tells by the header of a line, and by how its message begins, whether it can be of a pattern. It
// looks at no more of a line than it must.
type Filter struct {
	of [256][]beginning // by the first letter of the level
}

// A beginning is how lines of a pattern begin behind their level.
type beginning struct {
	file  string // with the colon behind it; "": any
	start string // of the message
}

// NewFilter makes a filter for patterns; nil if one of them may be in any line.
func NewFilter(patterns []*Pattern) *Filter {
	f := &Filter{}
	for _, p := range patterns {
		b := beginning{p.File + ":", p.lits[0]}
		switch {
		case p.Level == record.Other:
			b.file = ""
		case p.Level == "" || p.File == "":
			return nil
		}
		f.of[p.Level[0]] = append(f.of[p.Level[0]], b)
	}
	return f
}

// May reports whether a line can be of one of the patterns. header is where its header goes on behind
// the stamp.
func (f *Filter) May(line string, header int) bool {
	at := record.SkipIdle(line, header+1)
	if len(line) < at+2 || line[at] != '[' {
		return false
	}
	beginnings := f.of[line[at+1]]
	if beginnings == nil {
		return false
	}
	level := strings.IndexByte(line[at:], ']')
	if level < 0 || len(line) < at+level+3 {
		return false
	}
	rest := line[at+level+2:]
	for i := range beginnings {
		b := &beginnings[i]
		if b.file == "" || rest[0] == '[' {
			return true
		}
		if strings.HasPrefix(rest, b.file) && mayBegin(rest[len(b.file):], b.start) {
			return true
		}
	}
	return false
}

// mayBegin reports whether the message begins with a text behind a line number, perhaps behind the
// name of a function.
func mayBegin(rest, start string) bool {
	for rest != "" && rest[0] != ' ' {
		rest = rest[1:]
	}
	if rest == "" {
		return false
	}
	return strings.HasPrefix(rest[1:], start) || record.SkipFunction(rest, 1) > 1
}
