package esl

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxValue bounds a value in a command, in bytes.
const maxValue = 64

// isPlain reports whether a character has no meaning in any command. FreeSWITCH's commands
// split their arguments at blanks, and some at / , ; | or ^.
func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+~@-", c)
}

// checkWord refuses a value that a command could read as anything but one word.
func checkWord(value string) error {
	switch {
	case value == "":
		return errors.New("it is empty")
	case len(value) > maxValue:
		return fmt.Errorf("%q… has %d bytes; at most %d are sent", value[:maxValue/2], len(value), maxValue)
	case strings.ContainsFunc(value, func(c rune) bool { return !isPlain(c) }):
		return fmt.Errorf("%q: only letters, digits and . _ + ~ @ - are sent", value)
	case value[0] == '-':
		return fmt.Errorf("%q begins like an option", value)
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
var uuidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
