// Package settings reads one block of a rule file: each attribute by its name, its
// type and its bounds.
//
// It stands between HCL and everything that a rule file declares. The configuration
// and each plugin read their blocks with it, so that a duration, a list or a reference
// is written in the same way everywhere and a mistake in it has the same message.
//
// A method takes the name of an attribute and a target, and reports whether it has set
// the target. If the attribute is absent or wrong, the target keeps its value, which is
// the default. All mistakes are gathered; [Block.Done] adds the attributes and nested
// blocks that were not read. So read all attributes before you return early.
//
// Invariant: no message contains a value that came from the environment or from
// another file.
package settings
