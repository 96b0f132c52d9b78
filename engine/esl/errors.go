package esl

import "errors"

// What may be wrong with a connection. The errors that are returned say more, and
// are told apart with errors.Is.
var (
	ErrUnreachable = errors.New("the event socket cannot be reached (is FreeSWITCH running, with mod_event_socket on this address?)")
	ErrAuthRefused = errors.New("the event socket refuses the password: it must be the one in event_socket.conf.xml")
	ErrACLRefused  = errors.New("the event socket's access list refuses this host: add it to apply-inbound-acl in event_socket.conf.xml")
	ErrSilent      = errors.New("the event socket is silent")
	ErrClosed      = errors.New("the event socket closed the connection")
	ErrProtocol    = errors.New("what answers there does not speak as FreeSWITCH's event socket does")
)

// A Refusal is the answer of a switch that did not do as it was told.
type Refusal struct {
	Text string // its own words, bounded and printable: "-ERR No such channel!"
}

func (r *Refusal) Error() string { return "refused: " + r.Text }
