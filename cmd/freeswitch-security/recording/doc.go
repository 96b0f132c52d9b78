// Package recording opens recorded inputs for a replay: it decompresses, orders, joins and merges files, and finds the source that wrote them.
//
// It stands before [engine.Engine.Replay]; replay, diff, explain and learn use it.
//
// Invariant: a file that cannot be read does not prevent the next from being read, and each
// such file is reported in [Account].
package recording
