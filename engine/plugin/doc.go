// Package plugin defines the contract of sources and actions: all that the author of one
// must know.
//
// It stands at both ends of the path: a [Source] turns bytes into events, an [Action]
// enforces or reports the changes of bans. Rule files declare both. A [SourceKind] or an
// [ActionKind] makes one of each block; it is registered in one line of
// cmd/freeswitch-security/plugins.go. The package examples/plugin has a source and an
// action in one file.
//
// # Blocks
//
// New reads its block with the methods of [settings.Block]. It names each attribute with
// its type and bounds, and reports mistakes to the block. An attribute that New does not
// read is an unknown one. A source has the attribute enabled, which New does not read.
// Blocks whose values are the same before and after a reload leave the running plugin
// alone.
//
// # Sources
//
// Describe returns what never changes: the events with their fields, and what else the
// source can do. Replay decodes a recording. Follow is given a [Stream]: where to begin,
// what is wanted, the [Sink] for events and positions, the [Progress] that the API and
// the metrics show, and Ready. A feed of addresses hands on listings instead of events.
//
// # Actions
//
// Apply carries out a batch of changes. Whatever else an action can do is an optional
// interface, which its type implements:
//
//	Level      it holds a state, such as the kernel's rules: resync, inspect, withdraw
//	Opener     it uses a directory of its own, or asks which networks are spared
//	Server     it works in a goroutine beside Apply
//	Reporter   it knows of problems, or of notifications on their way
//
// An action claims what it must not share, such as a file, through [ActionEnv].
//
// Invariant: New touches nothing. It reads a block and returns a value; files, sockets
// and the kernel come later, in Follow, Replay, Open and Apply. So a configuration can be
// checked on any machine, and a refused one has changed nothing.
package plugin
