// Package tail follows a file that grows, through all its rotations.
//
// It stands first on the path: it turns a path into chunks of whole lines with
// their positions. It knows that lines may have stamps, and nothing else of
// their content. Its [Consumer] decides how many of the lines are processed.
//
// A tail of github.com/nxadm/tail reads what is live: the newest file while it grows.
// A busy file, history, a backlog, rotated files and all that a tail leaves are read by blocks. What
// a tail delivers counts only if it follows what was read before, in a file that still
// holds that.
//
// Invariant: every complete line is handed on once, whatever happens to the file:
// rename and create, copy and truncate, a symbolic link that moves, several of these
// in a row, and compression while no follower was at work. Only this is lost:
//
//   - a last line without a line break
//   - of compressed files what they hold beyond 2 GiB, or behind damage
//   - new lines of a named pipe while 4 MiB wait for the consumer
//   - the content of a file that was deleted or truncated before it was read
//
// If a truncated file was copied first, the copy is recognised by the last bytes that were
// read, and read on from there. So is a truncation of a file that is longer again at the next
// look. At the start of a file, where nothing was read yet, neither is recognised.
package tail
