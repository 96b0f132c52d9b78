// Package regex has regular expressions that are compiled at their first use: most verbs use few of the
// program's, and to compile all takes longer than a check of the rules.
//
// Invariant: a variable of a package that is made by [New] costs nothing when the program starts.
package regex
