// Package learn reads what happened on normal days and says whom an operator may
// want to trust, whom his rules would have caught, and how far his thresholds are
// from those who registered well.
//
// It stands beside the path: [Notebook.Note] sees each event that the rules saw,
// [Notebook.Caught] what they decided, and [Notebook.Conclude] gives what follows
// from it. Nobody is banned or trusted by it; a person reads it first.
//
// The invariant: nobody is proposed to be trusted for what any stranger can do.
// Failing, being challenged, calling without a password and writing into a log
// prove nothing, however long they go on; a password that was accepted does, and
// so does a gateway of the switch's own. What is not proven may be shown to the
// operator, and is marked as such. The memory is bounded, whatever is recorded:
// some 300 MB in the worst case, where callers do all they can at 200,000 addresses.
package learn
