// Package config reads what the operator wrote: the rule files, in HCL or JSON,
// and gives back an inert [Config], or diagnostics that point at every mistake.
//
// It stands before the path: sources, actions and rules come out of it, and
// nothing of them has been opened, followed or applied yet.
//
// The invariant: loading changes nothing and hides nothing. It reads the files
// of one directory and what they name with file(), it asks for the environment
// variables that it is given a function for, and it reads no clock. Every
// mistake of every file is reported in one go, each with a position; and no
// value that came from env() or file() ever stands in a diagnostic of this
// package's. What a plugin says about its own part is the plugin's to mind.
package config
