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
//
// What else a plugin can do, it says by its methods. None of these need be there:
//
//	Follower    a source that can be followed live, not replayed only
//	Beginner    … and tells when it has found where it begins
//	Feed        a source that knows by itself who is to be banned
//	Meter       either of them, which tells how far it has come, and what is amiss
//	Witness     a source that can vouch for what another one reads
//	Doubter     a source that is believed only where a witness agrees
//	Merger      a source of which several recordings can be read as one
//	Explainer   a source that can say how it reads a line
//
//	Level       an action that holds a state, such as the kernel's rules
//	Survivor    … and can tell what an earlier run left standing
//	Widener     … and may drop more than it was ordered to
//	Withdrawer  … and can take all it did back out of the world
//	Inspector   … and can show what it has done
//	Reporter    an action that can say what is wrong with it
//	Keeper      an action that keeps something across restarts
//	Server      an action that goes on with its work beside Apply
//	Claimant    an action that needs something for itself alone
//
//	Comparer    either, which a reload leaves alone where its words are the same
package plugin
