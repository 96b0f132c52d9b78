// Package plugin is all that the author of a source or an action must know.
//
// It stands at both ends of the path: a [Source] turns bytes into events, an
// [Action] makes the world agree with the bans. Both are declared in rule
// files, and each decodes its own part of them through its Kind.
//
// The invariant: a plugin's New touches nothing. It reads HCL and gives back a
// value or diagnostics; files, sockets and the kernel come later, in Follow,
// Replay and Apply. That is what lets a configuration be checked on any
// machine, and a bad one be refused without a trace.
package plugin
