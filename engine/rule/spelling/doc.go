// Package spelling says how to write an expression that does not parse, to an operator who knows
// other languages.
//
// It stands beside the compiler of expressions, which asks it after an error of the parser. It knows
// tokens, no fields and no events.
//
// Invariant: it changes words and positions of an error, and never whether there is one.
package spelling
