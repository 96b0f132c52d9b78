package esl

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxValue is how long a value may be that is put into a command, in bytes.
const maxValue = 64

// isPlain reports whether a letter means nothing to FreeSWITCH but itself,
// wherever in a command it stands. Its commands split their arguments at blanks,
// and some at / , ; | or ^.
func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+~@-", c)
}

// checkWord refuses a value of an event that could be read as anything but one
// word of a command.
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

// checkPart is checkWord for one half of user@domain.
func checkPart(value string) error {
	if err := checkWord(value); err != nil {
		return err
	}
	if strings.Contains(value, "@") {
		return fmt.Errorf("%q: the @ of an account stands once", value)
	}
	return nil
}

// isUUID reports whether text has the form of FreeSWITCH's channel names:
// 0ea680a1-b96e-4bb6-9c1b-ca0f1f2b38f7. Where a dialplan sets others
// (origination_uuid), they are not killed by us.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range text {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !unicode.Is(unicode.ASCII_Hex_Digit, c) {
			return false
		}
	}
	return true
}
