// Package tail follows a file that grows, through all its rotations.
//
// It stands first on the path: it turns a path into chunks of whole lines with
// their positions. It knows that lines may have stamps, and nothing else of
// their content. Its [Consumer] decides how many of the lines are processed.
//
// Invariant: every complete line is handed on once, whatever happens to the file:
// rename and create, copy and truncate, a symbolic link that moves, several of these
// in a row, and compression while no follower was at work. Only this is lost: the content
// of a file that was deleted or truncated before it was read, of compressed files what
// they hold beyond 2 GiB or behind damage, and a last line without a line break.
package tail
