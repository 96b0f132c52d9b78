// Package config reads the rule files, in HCL or JSON, and returns an inert [Config], or
// diagnostics that point at every mistake.
//
// It stands before the path. It makes the sources, actions and rules, but does not open,
// follow or apply them. One file of the package reads one kind of block,
// with package settings.
//
// Invariant: loading changes nothing. It reads the files of one directory and those that
// they name with file() or in a geoip block, looks up the environment variables that they name with env(),
// and reads no clock. All mistakes of all files are reported at once, each with a
// position. No diagnostic contains a value of env() or file(), and [Print] prints no line
// of a block that may bear secrets.
package config
