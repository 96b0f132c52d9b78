// Package plugin is a source and an action as a third party writes them.
//
// `source "knocks" "door" { path = "…" }` reports each line "ADDRESS USER" that is
// appended to a file. `action "list" "mine" { path = "…" }` keeps a text file of the
// banned targets, one a line. They stand at the two ends of the path, where sources/esl
// and actions/iptables stand. To build them in, import this package in
// cmd/freeswitch-security/plugins.go and add one line to each list there:
//
//	import example "freeswitch-security/examples/plugin"
//
//	example.Knocks,
//	example.List,
//
// Invariant: the list always holds exactly the targets of the bans in force, and is
// replaced as a whole, so that no reader finds half of it.
package plugin
