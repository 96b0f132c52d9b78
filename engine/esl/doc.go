// Package esl speaks with one FreeSWITCH over its event socket.
//
// It stands at both ends of the path: [Switch.Listen] yields what the switch
// reports, events and log records, to the source that makes events of ours of
// it; a [Console] has the switch do what only it can do, for the action that
// hangs up calls. Recordings of the same stream are read with a [Reader].
//
// The invariant: nothing that comes in over the socket can stop, grow or panic
// the program, and nothing goes out over it but one command on one line.
package esl
