// Package journal reads systemd's journal through journalctl, which knows all formats of
// its files.
//
// It stands first on the path: it turns a [Query] and a [Place] into entries, one a line,
// in JSON. What they hold is read as any other carried log; see package carrier.
//
// Invariant: the arguments of journalctl are checked values, no shell reads them, and its
// environment holds no secrets.
package journal
