// Package plugin is an action of one's own: `action "list" "name" { path = "…" }`
// keeps a text file of who is banned, one target a line, for whatever reads such
// files.
//
// It stands where actions/iptables stands, at the end of the path. To build it in,
// import it in cmd/freeswitch-security/plugins.go and add one line to the actions
// there:
//
//	import list "freeswitch-security/examples/plugin"
//
//	list.Kind,
//
// The invariant: the file always holds exactly the bans that are in force, and is
// replaced as a whole, so that no reader finds half of it.
package plugin
