package esl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
)

// A template is a command of the operator with holes. The zero value is none.
type template struct {
	command string // "hash"
	args    string // "insert/blocked/<ip>/1"
}

// holeNames are the holes that a template may have.
var holeNames = []string{"ip", "network", "user", "domain", "rule"}

var hole = regex.New(`<([A-Za-z0-9_]+)>`)

// maxTemplate leaves room for the values in the longest command of a console.
const maxTemplate = 2 << 10

// parseTemplate reads "hash insert/blocked/<ip>/1".
func parseTemplate(text string) (template, error) {
	switch {
	case strings.ContainsFunc(text, unicode.IsControl):
		return template{}, errors.New("a command is one line, without control characters")
	case len(text) > maxTemplate:
		return template{}, fmt.Errorf("a command has at most %d bytes", maxTemplate)
	}
	command, args, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case command == "":
		return template{}, errors.New(`it is empty; write a command of FreeSWITCH, such as "hash insert/blocked/<ip>/1"`)
	case strings.ContainsAny(command, "<>"):
		return template{}, fmt.Errorf("%q: the name of the command must be fixed; holes may follow after the first blank", command)
	case checkWord(command) != nil:
		return template{}, fmt.Errorf("%q is not the name of a command", command)
	case command == "api" || command == "bgapi":
		return template{}, fmt.Errorf("leave out the %q: write only what follows it", command)
	}
	for _, found := range hole.Use().FindAllStringSubmatch(args, -1) {
		if name := found[1]; !slices.Contains(holeNames, name) {
			return template{}, fmt.Errorf("there is no hole <%s>.%s There are: <%s>", name, event.DidYouMean(name, holeNames), strings.Join(holeNames, "> <"))
		}
	}
	return template{command, strings.TrimLeft(args, " ")}, nil
}

func (t *template) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(t.args, "<"+name+">") })
}

// fill returns the arguments with values in the holes. The error names the
// first value that cannot be sent.
func (t *template) fill(values map[string]string) (args string, err error) {
	args = hole.Use().ReplaceAllStringFunc(t.args, func(found string) string {
		name := found[1 : len(found)-1]
		value := values[name]
		bad := checkPart(value)
		if name == "ip" || name == "network" { // from netip, with a slash
			bad = nil
			if value == "" {
				bad = errors.New("no address is known")
			}
		}
		if bad != nil && err == nil {
			err = fmt.Errorf("<%s>: %w", name, bad)
		}
		return value
	})
	return args, err
}

// values returns the values for a template, once for each time that it is to be sent: for
// each account if it has one, else for the change.
func (t *task) values(of *template) (all []map[string]string) {
	perAccount := of.has("user", "domain")
	if t.spares && (of.has("ip", "network") || !perAccount) {
		return nil
	}
	common := map[string]string{"rule": ruleWord(t.rule)}
	if t.network.IsValid() {
		common["network"] = ban.Network(t.network).String()
	}
	if t.address.IsValid() {
		common["ip"] = t.address.String()
	}
	if !perAccount {
		return []map[string]string{common}
	}
	for _, a := range t.accounts {
		// As the caller wrote it, and in small letters, as most directories have it: what reads
		// the command's effect may tell them apart.
		for _, spelling := range slices.Compact([]account{a, a.fold()}) {
			values := maps.Clone(common)
			values["user"], values["domain"] = spelling.user, spelling.domain
			all = append(all, values)
		}
	}
	return all
}

// ruleWord makes one word of the name of a rule; "none" where no rule ordered the ban.
func ruleWord(rule string) string {
	if rule == "" {
		return "none"
	}
	word := notPlain.Use().ReplaceAllString(rule, "_")
	return strings.TrimLeft(word[:min(len(word), maxValue)], "-")
}

// maxValue bounds a value in a command, in bytes.
const maxValue = 64

// Only characters that have no meaning in any command are sent. FreeSWITCH's commands
// split their arguments at blanks, and some at / , ; | or ^. A - at the start would be an
// option.
var (
	plainWord = regex.New(`^[\w.+~@][\w.+~@-]*$`)
	notPlain  = regex.New(`[^\w.+~-]`)
)

// checkWord refuses a value that a command could read as anything but one word.
func checkWord(value string) error {
	if len(value) > maxValue || !plainWord.Use().MatchString(value) {
		return fmt.Errorf("%q: only letters, digits and . _ + ~ @ - are sent, %d of them at most and no - first", value[:min(len(value), maxValue)], maxValue)
	}
	return nil
}

// checkPart is checkWord for one part of user@domain.
func checkPart(value string) error {
	if err := checkWord(value); err != nil {
		return err
	}
	if strings.Contains(value, "@") {
		return fmt.Errorf("%q: a user or domain has no @", value)
	}
	return nil
}

// uuidForm is the form of FreeSWITCH's names of channels. A dialplan can set others
// (origination_uuid); those channels are not hung up.
var uuidForm = regex.New(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
