package esl

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"freeswitch-security/engine/event"
)

// A template is a command of the operator's, with holes. The zero value is none.
type template struct {
	word  string // what the switch is to do: "hash"
	lits  []string
	holes []string // one less than lits; lits[0], holes[0], lits[1], … are the arguments
}

// holeNames are the holes that a template may have.
var holeNames = []string{"ip", "network", "user", "domain", "rule"}

var holeForm = regexp.MustCompile(`<([A-Za-z0-9_]+)>`)

// maxTemplate leaves room for the values in what a console sends at most.
const maxTemplate = 2 << 10

// parseTemplate reads "hash insert/blocked/<ip>/1".
func parseTemplate(text string) (template, error) {
	switch {
	case strings.ContainsFunc(text, unicode.IsControl):
		return template{}, errors.New("a command is one line, without control characters")
	case len(text) > maxTemplate:
		return template{}, fmt.Errorf("a command has at most %d bytes", maxTemplate)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case word == "":
		return template{}, errors.New(`it is empty; write a command of FreeSWITCH's, such as "hash insert/blocked/<ip>/1"`)
	case strings.ContainsAny(word, "<>"):
		return template{}, fmt.Errorf("%q: what the switch is to do must be fixed; holes may stand behind the first blank", word)
	case strings.ContainsFunc(word, func(c rune) bool { return !isPlain(c) }):
		return template{}, fmt.Errorf("%q is not the name of a command", word)
	case word == "api" || word == "bgapi":
		return template{}, fmt.Errorf("leave out the %q: the command begins behind it", word)
	}
	t := template{word: word}
	end := 0
	for _, at := range holeForm.FindAllStringSubmatchIndex(rest, -1) {
		name := rest[at[2]:at[3]]
		if !slices.Contains(holeNames, name) {
			return template{}, fmt.Errorf("there is no hole <%s>.%s There are: <%s>", name, event.DidYouMean(name, holeNames), strings.Join(holeNames, "> <"))
		}
		t.lits, t.holes = append(t.lits, rest[end:at[0]]), append(t.holes, name)
		end = at[1]
	}
	t.lits = append(t.lits, rest[end:])
	return t, nil
}

func (t *template) has(names ...string) bool {
	return slices.ContainsFunc(t.holes, func(hole string) bool { return slices.Contains(names, hole) })
}

// aboutAccounts reports whether the command is about an account rather than about
// a change, so that it is sent once for each.
func (t *template) aboutAccounts() bool { return t.has("user", "domain") }

// aboutAddress reports whether the command holds somebody to be at an address.
func (t *template) aboutAddress() bool { return t.has("ip", "network") }

// fill gives the arguments of the command, with values in the holes. The error
// names the first value that may not be sent.
func (t *template) fill(values map[string]string) (string, error) {
	var out strings.Builder
	out.WriteString(t.lits[0])
	for i, hole := range t.holes {
		value := values[hole]
		var err error
		switch hole {
		case "ip", "network": // printed by netip; a network has a slash in it
			if value == "" {
				err = errors.New("no address is known")
			}
		default:
			err = checkPart(value)
		}
		if err != nil {
			return "", fmt.Errorf("<%s>: %w", hole, err)
		}
		out.WriteString(value)
		out.WriteString(t.lits[i+1])
	}
	return out.String(), nil
}
