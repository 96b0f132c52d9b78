// Package daemon is the guard as a process: the engine, its state file, the admin listener, the signals and systemd.
//
// It stands around [engine.Engine] and decides nothing itself.
//
// Invariant: a fault of the state file, the admin listener or systemd is logged and does not
// stop the protection. Only a state file in use does, because two daemons on one host would undo
// each other's bans.
package daemon
