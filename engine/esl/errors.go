package esl

import (
	"errors"
	"strings"
	"unicode"
)

// The ways in which a connection fails. Returned errors wrap them and say more.
var (
	ErrUnreachable = errors.New("the event socket cannot be reached (is FreeSWITCH running, with mod_event_socket on this address?)")
	ErrAuthRefused = errors.New("the event socket refuses the password: it must be the one in event_socket.conf.xml")
	ErrACLRefused  = errors.New("the event socket's access list refuses this host: add it to apply-inbound-acl in event_socket.conf.xml")
	ErrSilent      = errors.New("the event socket is silent")
	ErrClosed      = errors.New("the event socket closed the connection")
	ErrProtocol    = errors.New("the answer is not FreeSWITCH's event socket protocol")
)

// A Refusal is the answer of a switch that did not carry out a command.
type Refusal struct {
	Text string // as [Printable]: "-ERR No such channel!"
}

func (r *Refusal) Error() string { return "refused: " + r.Text }

// Printable returns text as one printable line of about 200 bytes at most.
func Printable(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text[:min(len(text), 4*most)]), " ")
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, text)
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
