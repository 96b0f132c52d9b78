// Package pattern matches messages against patterns: pasted messages with holes, such as
// <ip>, where the text varies.
//
// It stands between the header of a line and its event. [Compile] turns a pasted
// message into a [Pattern], a [Set] finds the pattern of a message, and a [Plan]
// finds the lines of a log that may match a pattern.
//
// Invariant: text that an attacker writes into a hole never changes which address
// is taken from a message. If a message can be read with two addresses, its verdict
// is [Ambiguous]. A comparison takes time linear in the message.
package pattern
