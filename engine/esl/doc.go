// Package esl is a client of the event socket of one FreeSWITCH.
//
// It stands at both ends of the path. [Switch.Listen] reads events and log records
// for the source that turns them into events of ours. A [Console] carries out
// commands: it lists calls and registrations, and hangs up for an action. A
// [Reader] reads recordings of the same stream, and [Merge] joins several of them.
//
// Invariant: no input from the socket can stop or panic the program or exceed its
// limits, and the only output is one command on one line at a time.
package esl
