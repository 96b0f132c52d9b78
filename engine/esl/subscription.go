package esl

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Subscription says what a connection reports.
type Subscription struct {
	Events     []string // names: "CHANNEL_CREATE"; HEARTBEAT is always among them
	Subclasses []string // of CUSTOM events: "sofia::register_failure"
	LogLevel   int      // log records up to this level, 4 being WARNING; -1: none

	// Unreadable, if it is set, is called for every frame that cannot be decoded, by
	// the goroutine that calls take.
	Unreadable func()
}

// Heartbeat is the event by which a quiet switch differs from a dead one.
const Heartbeat = "HEARTBEAT"

// commands returns the commands that subscribe.
func (sub Subscription) commands() ([]string, error) {
	words := []string{"event", "json", Heartbeat}
	for _, name := range sub.Events {
		if name == "CUSTOM" {
			return nil, errors.New("subscribe to CUSTOM events by their subclasses")
		}
		if name != Heartbeat {
			words = append(words, name)
		}
	}
	if len(sub.Subclasses) > 0 {
		words = append(append(words, "CUSTOM"), sub.Subclasses...)
	}
	if i := slices.IndexFunc(words, func(word string) bool { return !isWord(word) }); i >= 0 {
		return nil, fmt.Errorf("%q is not the name of an event", words[i])
	}
	commands := []string{strings.Join(words, " ")}
	switch {
	case sub.LogLevel < -1 || sub.LogLevel > 7:
		return nil, fmt.Errorf("there is no log level %d: they are 0 to 7, and -1 for none", sub.LogLevel)
	case sub.LogLevel >= 0:
		commands = append(commands, "log "+strconv.Itoa(sub.LogLevel))
	}
	return commands, nil
}

// isWord reports whether text is exactly one word of a command.
func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == unicode.ReplacementChar
	})
}
