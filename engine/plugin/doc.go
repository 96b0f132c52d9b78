// Package plugin is all that the author of a source or an action must know.
//
// It stands at both ends of the path: a [Source] turns bytes into events, an [Action]
// makes the world agree with the bans. Rule files declare both. A [SourceKind] or an
// [ActionKind] makes one of each block; it is registered in one line of
// cmd/freeswitch-security/plugins.go. The package examples/plugin has a source and an
// action in one file.
//
// # Blocks
//
// New reads its block with the methods of [settings.Block]. It names each attribute with
// its type and bounds, and reports mistakes to the block. An attribute that New does not
// read is an unknown one. Blocks whose values are the same before and after a reload
// leave the running plugin alone.
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
// Apply carries out a batch of changes. What else an action does, it says by its methods:
//
//	Level      it holds a state, such as the kernel's rules: resync, inspect, withdraw
//	Opener     it uses a directory of its own, or asks which networks are spared
//	Server     it goes on working beside Apply
//	Reporter   it knows of problems, or of notifications on their way
//
// An action that needs something for itself alone claims it through [ActionEnv].
//
// Invariant: New touches nothing. It reads a block and returns a value; files, sockets
// and the kernel come later, in Follow, Replay, Open and Apply. So a configuration can be
// checked on any machine, and a wrong one is refused without a trace.
package plugin
